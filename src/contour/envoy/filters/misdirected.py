"""The 421 check: a request must be for the host that its connection was opened for (httpproxy.md §4.11).

HTTP/2 clients reuse a connection for every host that its certificate names; each host has a chain of its own with
its own settings, so the request must come over its own connection.
"""

from __future__ import annotations

from contour.envoy import pb
from contour.envoy.filters.script import script

NAME = "envoy.filters.http.lua"


def http_filter() -> pb.HttpFilter:
    source = pb.DataSource(inline_string=script("misdirected"))
    return pb.HttpFilter(name=NAME, typed_config=pb.pack(pb.Lua(default_source_code=source)))
