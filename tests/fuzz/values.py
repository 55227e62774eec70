"""Values for the fields of an object: mostly such as users write, now and then not.

By the field's name where the name says what belongs there, else by its schema. Without the first hardly any object
would get past its reference to a Service.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Strategy = st.SearchStrategy[Any]

SERVICES = ("web", "api", "bare", "external", "missing")
SECRETS = ("serving", "other/serving", "ca", "crl", "opaque", "missing", "")
HOSTS = (
    *("a.test", "b.test", "*.a.test", "x.a.test", "A.test", "*", "a.test:80", "-", "xn--bcher-kva.test"),
    "a" * 64 + ".test",
)
PATHS = (
    "/",
    "/a",
    "/a/",
    "/a/b",
    "/a.b",
    "//",
    "/%2F",
    "/a b",
    "/é",
    "/" + "a" * 300,
    "a",
    "",
    "/(",
    "/[a-z]+",
    "/a{1001}",
)
REGEXES = ("/.*", "[a-z]+", "(", "a{1001}", "(?i)x", r"\d+", "(?=x)", ".*" * 50, "\\", "")
HEADERS = (
    "X-A",
    "x-b",
    "Host",
    "host",
    ":authority",
    ":method",
    "X A",
    "",
    "é",
    "x-contour-scope",
    "Set-Cookie",
    "l5d-dst-override",
)
VALUES = (
    "v",
    "",
    "%",
    "%%",
    "%REQ(X-A)%",
    "%HOSTNAME%",
    "%NONE%",
    "%CONTOUR_NAMESPACE%",
    "%PROTOCOL",
    "a\nb",
    "é",
    "'; os.exit()",
    "x" * 2000,
)
DURATIONS = ("5s", "0s", "1h1m", "infinity", "infinite", "-5s", "5", "", "9999999999h", "1.5ms", "300ns", "1d")
NUMBERS = (0, 1, 80, 443, 8080, 100, 200, 301, 404, 429, 599, 65535)
STRAYS = (None, "", "x", 0, -1, 1, 1.5, True, [], {}, [None], ["a"], "\x00", "\ud7ff", 2**31, 2**32, 2**63, "é" * 70000)

# By the name of the field, in small letters.
_TEXTS: dict[str, tuple[str, ...]] = {
    "fqdn": HOSTS,
    "host": HOSTS,
    "hosts": HOSTS,
    "hostname": HOSTS,
    "secretname": SECRETS,
    "casecret": SECRETS,
    "cacertificate": SECRETS,
    "crlsecret": SECRETS,
    "prefix": PATHS,
    "exact": PATHS,
    "path": PATHS,
    "match": PATHS,
    "replacement": PATHS,
    "prefixrewrite": PATHS,
    "regex": REGEXES,
    "uri": (
        "https://a.test/jwks",
        "http://localhost:1/jwks",
        "https://[::1]/",
        "ftp://x",
        "a",
        "",
        "https://a.test:99999/",
    ),
    "issuer": ("me", ""),
    "headername": HEADERS,
    "cidr": ("10.0.0.0/8", "::/0", "127.0.0.1", "10.0.0.0/33", "x", "", "0.0.0.0/0", "::ffff:1.2.3.4/99"),
    "subjectname": ("web.test", ""),
    "subjectnames": ("web.test", "b.test"),
    "alloworigin": ("*", "http://a.test", "http://*.a.test", "(", "a", r"https://.*\.a\.test", ""),
    "maxage": DURATIONS,
    "window": DURATIONS,
    "aggression": ("1.0", "2", "0", ".5", "x", "1e9"),
    "protocol": ("h2", "h2c", "tls", "http/1.1", "x", ""),
    "strategy": ("RoundRobin", "Random", "Cookie", "RequestHash", "WeightedLeastRequest", "x", ""),
    "minimumprotocolversion": ("1.2", "1.3", "1.1", "x", ""),
    "maximumprotocolversion": ("1.2", "1.3", "1.1", "x", ""),
    "scheme": ("http", "https", "x"),
    "unit": ("second", "minute", "hour", "day"),
    "domain": ("a.test", "*", "", "é"),
    "targetnamespaces": ("shop", "other", "*", ""),
    "ingressclassname": ("contour", "other", ""),
    "pathtype": ("Prefix", "Exact", "ImplementationSpecific", "x"),
    "body": ("sorry", "", "%", "é" * 5000),
    "type": ("ClusterIP", "LoadBalancer", "ExternalName", "x"),
    "externalname": ("external.test", "localhost", "127.1", ""),
    "allowmethods": ("GET", "*", "get"),
    "retryon": ("5xx", "reset", "x", ""),
}
_NAMES_OF_OBJECTS = ("web", "api", "child", "loop", "site", "auth", "missing", "")
_BY_PARENT: dict[str, tuple[str, ...]] = {
    "services": SERVICES,
    "service": SERVICES,
    "includes": _NAMES_OF_OBJECTS,
    "delegate": _NAMES_OF_OBJECTS,
    "extensionref": ("auth", "auth/http", "missing", ""),
    "header": HEADERS,
    "headers": HEADERS,
    "set": HEADERS,
    "queryparameter": ("q", "", "é", "a b"),
    "cookierewritepolicies": ("session", "a=b", "", "x y"),
    "jwtproviders": ("jwt", "other", ""),
}


def texts(name: str, parent: str, others: tuple[str, ...]) -> tuple[str, ...]:
    """What belongs in a text field; `others` if its name does not tell."""
    if name in _TEXTS:
        return _TEXTS[name]
    if name == "name":
        return _BY_PARENT.get(parent, _NAMES_OF_OBJECTS)
    if name == "namespace":
        return ("shop", "other", "missing", "")
    if name == "value":
        return VALUES
    if name == "remove":
        return HEADERS
    if name in ("response", "idle", "idleconnection", "pertrytimeout", "responsetimeout", "timeout", "cacheduration"):
        return DURATIONS
    return others


def mostly(right: Strategy, wrong: Strategy, rarity: int = 40) -> Strategy:
    # Not 0, which is tried more often than others, and is what examples shrink to.
    return st.integers(0, rarity).flatmap(lambda number: wrong if number == rarity // 2 else right)


def now_and_then(right: Strategy) -> Strategy:
    """Something else in one of some hundreds: an object has dozens of fields."""
    return mostly(right, st.sampled_from(STRAYS), 400)
