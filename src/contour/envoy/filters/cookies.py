"""Rewriting of Set-Cookie attributes: one constant script, its rules as data of a weighted cluster (security.md).

A script is never generated from what users write (CVE-2026-41246).
"""

from __future__ import annotations

from collections.abc import Sequence

from contour.dag.graph import CookieRewrite
from contour.envoy import pb
from contour.envoy.filters.script import script

NAME = "envoy.filters.http.lua"
_SCRIPT = "cookie_rewrite.lua"


def http_filter() -> pb.HttpFilter:
    sources = {_SCRIPT: pb.DataSource(inline_string=script("cookie_rewrite"))}
    return pb.HttpFilter(name=NAME, typed_config=pb.pack(pb.Lua(source_codes=sources)))


def rules(rewrites: Sequence[CookieRewrite]) -> pb.Any:
    """Per-cluster configuration: attributes to set for each cookie, only those that the policy names."""
    attributes = {
        one.name: {
            key: value
            for key, value in (
                ("Path", one.path),
                ("Domain", one.domain),
                ("Secure", one.secure),
                ("SameSite", one.same_site),
            )
            if value is not None
        }
        for one in rewrites
    }
    return pb.pack(pb.LuaPerRoute(name=_SCRIPT, filter_context=pb.struct({"cookie_rewrite_rules": attributes})))
