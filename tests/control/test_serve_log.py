"""What libraries have to say stands in the log of `serve`, in its form."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """
import logging
from contour.control.serve_log import adopt, logger

adopt(logger("json", debug={debug}))
logging.getLogger("library").info("not told")
logging.getLogger("library").warning("two\\nlines")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("asyncio").exception("it went wrong")
"""


@pytest.mark.parametrize("debug", [True, False])
def test_libraries_write_lines_of_this_log(debug: bool) -> None:
    program = [sys.executable, "-c", PROGRAM.format(debug=debug)]
    done = subprocess.run(program, capture_output=True, text=True, check=True, timeout=60)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    traces = [line for line in lines if line["level"] == "debug"]
    assert [(line["level"], line["context"], line["msg"]) for line in lines if line not in traces] == [
        ("warning", "library", "two lines"),
        ("error", "asyncio", "it went wrong: ZeroDivisionError: division by zero"),
    ]
    assert ["Traceback" in line["msg"] for line in traces] == [True] * debug
