"""Access logs (operations.md §7.6): what a real Envoy writes, of requests and connections, for which answers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.traffic.configured import configured
from tests.traffic.world import World, until

pytestmark = [pytest.mark.traffic, pytest.mark.xdist_group("settings-logs")]


class Logs:
    """Files of the two listeners' logs; Envoy flushes them every ten seconds unless it is told to."""

    def __init__(self, directory: Path) -> None:
        self.flags = {
            "envoy_http_access_log": str(directory / "http.log"),
            "envoy_https_access_log": str(directory / "https.log"),
        }

    def lines(self, world: World, listener: str, count: int) -> list[str]:
        """The first lines of `http` or `https`."""
        path = Path(self.flags[f"envoy_{listener}_access_log"])

        def found() -> list[str]:
            world.envoys[0].admin("/reopen_logs", method="POST")
            return path.read_text().splitlines() if path.exists() else []

        until(lambda: len(found()) >= count)
        return found()


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    return Logs(tmp_path)


def both(world: World, path: str, **headers: str) -> None:
    """A request over HTTP and the same over TLS."""
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    world.get("site.test", path, pairs)
    world.get_tls("site.test", path, pairs)


def test_the_line_of_envoy(tmp_path: Path, logs: Logs) -> None:
    with configured(tmp_path, **logs.flags) as world:
        both(world, "/a")
        for listener in ("http", "https"):
            (line,) = logs.lines(world, listener, 1)
            assert re.fullmatch(r'\[[-0-9T:.Z]+\] "GET /a HTTP/1\.1" 200 - .* "site\.test" "127\.0\.0\.1:\d+"', line)


def test_a_line_of_text(tmp_path: Path, logs: Logs) -> None:
    text = r"""
accesslog-format-string: "%REQ(:METHOD)% %REQ_WITHOUT_QUERY(:PATH)% %RESPONSE_CODE% %REQ(X-A):3% %METADATA(ROUTE:envoy.access_loggers.file:io.projectcontour.name)% %TLS_JA4_FINGERPRINT%\n"
tls: {fingerprint: {ja4: true}}
"""
    with configured(tmp_path, text, **logs.flags) as world:
        both(world, "/a?secret=1", x_a="abcdef")
        assert logs.lines(world, "http", 1) == ["GET /a 200 abc site -"]
        (line,) = logs.lines(world, "https", 1)
        assert re.fullmatch(r"GET /a 200 abc site t\w+_\w+_\w+", line)


def objects(lines: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines]


def test_lines_of_json(tmp_path: Path, logs: Logs) -> None:
    with configured(tmp_path, accesslog_format="json", **logs.flags) as world:
        both(world, "/a?b", user_agent="test/1")
        for listener in ("http", "https"):
            (line,) = objects(logs.lines(world, listener, 1))
            assert line.items() >= {
                "authority": "site.test", "method": "GET", "path": "/a?b", "protocol": "HTTP/1.1",
                "response_code": 200, "user_agent": "test/1", "upstream_cluster": "shop_web_80",
            }.items()  # fmt: skip
            assert "uber_trace_id" not in line  # what is empty is left out
        assert line["requested_server_name"] == "site.test"


def test_fields_of_json_that_are_asked_for(tmp_path: Path, logs: Logs) -> None:
    text = """
accesslog-format: json
json-fields:
- method
- "@timestamp"
- contour_config_kind
- contour_config_namespace
- contour_config_name
- tls_ja3_fingerprint
- tenant=%REQ(X-Tenant)%
- fixed=always
tls: {fingerprint: {ja3: true}}
"""
    with configured(tmp_path, text, **logs.flags) as world:
        both(world, "/", x_tenant="blue")
        (plain,) = objects(logs.lines(world, "http", 1))
        (secure,) = objects(logs.lines(world, "https", 1))
        assert plain.pop("@timestamp")
        assert plain == {
            "method": "GET", "tenant": "blue", "fixed": "always", "contour_config_kind": "HTTPProxy",
            "contour_config_namespace": "shop", "contour_config_name": "site",
        }  # fmt: skip
        assert re.fullmatch("[0-9a-f]{32}", secure["tls_ja3_fingerprint"])


@pytest.mark.parametrize(
    ("level", "wanted"),
    [("error", ["/status/302", "/status/404", "/status/503"]), ("critical", ["/status/503"])],
)
def test_answers_that_are_worth_a_line(tmp_path: Path, logs: Logs, level: str, wanted: list[str]) -> None:
    text = f'accesslog-level: {level}\naccesslog-format-string: "%REQ(:PATH)% %RESPONSE_FLAGS%\\n"\n'
    with configured(tmp_path, text, **logs.flags) as world:
        for path in ("/", "/status/302", "/status/404", "/status/503"):
            both(world, path)
        world.endpoints("shop/web")  # none: Envoy's own answer has a flag
        both(world, "/gone")
        for listener in ("http", "https"):
            lines = logs.lines(world, listener, len(wanted) + 1)
            assert lines == [*(f"{path} -" for path in wanted), "/gone UH"]


def test_no_lines_at_all(tmp_path: Path, logs: Logs) -> None:
    with configured(tmp_path, "accesslog-level: disabled", **logs.flags) as world:
        both(world, "/status/503")
        world.envoys[0].admin("/reopen_logs", method="POST")
    assert not any(Path(path).exists() for path in logs.flags.values())


def test_connections_are_logged_with_the_tls_listener(tmp_path: Path, logs: Logs) -> None:
    text = r'accesslog-format-string: "%REQUESTED_SERVER_NAME% %UPSTREAM_CLUSTER%\n"'
    with configured(tmp_path, text, **logs.flags) as world:
        world.proxy(
            "shop/site",
            """
            virtualhost: {fqdn: site.test, tls: {secretName: tls}}
            tcpproxy: {services: [{name: web, port: 80}]}
            """,
        )
        assert world.get_tls("site.test").backend == "shop/web"
        assert logs.lines(world, "https", 1) == ["site.test shop_web_80"]
