"""The deliberate differences from the recorded answers: rules, each with its reason. Nothing else may differ.

A rule rewrites both sides before they are compared.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

_RATE_LIMIT = "type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit"
# Lua is in our own words: the source text is not compared, its place is.
_LUA_SOURCES = ("default_source_code", "source_codes")

# After these prefixes the reference quotes one of Go's libraries; ours quotes RE2, OpenSSL or msgspec. Compared up to here.
_QUOTED_LIBRARIES = (
    re.compile(r"^(.*supplied regex: .* invalid\. error: )"),
    re.compile(r"^(.*invalid TLS certificate: )"),
    re.compile(r"^(.*invalid TLS private key: )"),
    re.compile(r"^(.*invalid CA certificate bundle: )"),
    re.compile(r"^(.*LocalJWKS for provider .* is invalid: not valid JSON: )"),
    re.compile(r"^(.*allowed origin is invalid exact match and invalid regex match)"),
)
# Our own texts below those prefixes, which the reference has too: compared to the letter.
_OWN_TEXTS = (
    "certificate has no common name or subject alt name",
    "failed to locate certificate",
    "failed to locate private key",
    "failed to parse PEM block",
    "multiple private keys",
    "unexpected block type",
)


# No stored object is without a namespace; the recorder writes the status of one to this.
NO_NAMESPACE = "default"


def normal_resource(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        if key in _LUA_SOURCES:
            return {"lua": sorted(value) if key == "source_codes" else "source"}
        if value.get("@type") == _RATE_LIMIT:
            # operations.md §14.1, 8: without a domain Envoy refuses the listener; here it has the documented default.
            value = {"domain": "contour", **value}
        return {name: normal_resource(item, name) for name, item in value.items()}
    if isinstance(value, list):
        if key == "routes":
            value = _without_contradictions(value)
        return [normal_resource(item) for item in value]
    return value


def _without_contradictions(routes: list[Any]) -> list[Any]:
    """The reference's order of two routes that differ in header *and* query matches may contradict itself: where the
    headers say "after" it asks the queries, so that each route may come before the other (httpproxy.md §4.8). Among such
    routes, with equal paths, only the set is compared.
    """
    ordered: list[Any] = []
    for _, run in itertools.groupby(routes, key=_rank):
        found = list(run)
        ordered += sorted(found, key=repr) if _rank(found[0])[1] and _rank(found[0])[2] else found
    return ordered


def _rank(route: dict[str, Any]) -> tuple[str, int, int]:
    match = dict(route.get("match", {}))
    headers, query = match.pop("headers", []), match.pop("query_parameters", [])
    return repr(sorted(match.items())), len(headers), len(query)


def normal_status(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _message(item) if key == "message" else normal_status(item) for key, item in value.items()}
    if isinstance(value, list):
        return [normal_status(item) for item in value]
    return value


def has_status(key: str) -> bool:
    """Kinds whose status comes later are not compared."""
    return key.split("/", 1)[0] in ("HTTPProxy", "Ingress", "ExtensionService")


def found_without_namespace(objects: list[dict[str, Any]]) -> bool:
    """An HTTPProxy without a namespace, which no API server has: the reference finds it under `default`."""
    proxies = [one for one in objects if one["kind"] == "HTTPProxy"]
    lost = {one["metadata"]["name"] for one in proxies if not one["metadata"].get("namespace")}
    includes = [((one.get("spec") or {}).get("tcpproxy") or {}).get("include") or {} for one in proxies]
    return any(one.get("namespace") == "default" and one.get("name") in lost for one in includes)


def leaked_variable(wanted: str, got: str) -> bool:
    """httpproxy.md §5, quirk 15: in the reference a route-level policy sees the service of an earlier route of the same
    proxy; here it sees none, as documented, and the text stays literal.
    """
    if "%%CONTOUR_SERVICE_" not in got:
        return False
    pattern = re.escape(got).replace("%%CONTOUR_SERVICE_NAME%%", "[a-z0-9-]+")
    return re.fullmatch(pattern.replace("%%CONTOUR_SERVICE_PORT%%", "[0-9]+"), wanted) is not None


def sees_no_address(args: list[str]) -> bool:
    """The recorder tells the address of a Service that is in no watched namespace; no controller would see it."""
    watched = [arg.partition("=")[2].split(",") for arg in args if arg.startswith("--watch-namespaces=")]
    return bool(watched) and "projectcontour" not in watched[-1]


def give_ingress_its_family(objects: list[dict[str, Any]], wanted: dict[str, Any], got: dict[str, Any]) -> None:
    """operations.md §14.1, 28: the reference does not use `cluster.dns-lookup-family` for the backends of an Ingress
    that are external names; here it holds for all of them.
    """
    backends = {f"{_namespace(one)}_{name}_" for one in objects for name in _ingress_services(one)}
    for name in wanted.keys() & got.keys():
        theirs, ours = wanted[name], got[name]
        if "dns_lookup_family" not in theirs and ours.get("alt_stat_name", "").startswith(tuple(backends)):
            fields = ("dns_lookup_family", "type") if theirs.get("type") == "STRICT_DNS" else ("dns_lookup_family",)
            theirs.update({field: ours[field] for field in fields if field in ours})


def _namespace(obj: dict[str, Any]) -> str:
    return str(obj["metadata"].get("namespace") or NO_NAMESPACE)


def _ingress_services(obj: dict[str, Any]) -> Iterator[str]:
    if obj["kind"] != "Ingress":
        return
    spec = obj.get("spec") or {}
    paths = [path for rule in spec.get("rules") or () for path in (rule.get("http") or {}).get("paths") or ()]
    for backend in (spec.get("defaultBackend"), *(path.get("backend") for path in paths)):
        yield from filter(None, [((backend or {}).get("service") or {}).get("name")])


def _message(text: str) -> str:
    for pattern in _QUOTED_LIBRARIES:
        match = pattern.match(text)
        if match and not text[match.end() :].startswith(_OWN_TEXTS):
            return match.group(1)
    return text
