"""Values for the fields of an object: mostly such as users write, now and then not.

By the field's name where the name says what belongs there, else by its schema. Without the first hardly any object
would get past its reference to a Service. The first half of each list is usual: those are taken more often, so that the
parts of an object, and objects with each other, make something that is served.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Strategy = st.SearchStrategy[Any]

NAMESPACES = ("shop", "other")
NAMES = ("site", "child", "loop", "web", "api", "auth")  # few, so that objects meet and replace each other

SERVICES = ("web", "api", "web", "bare", "external", "missing", "site")
SERVING = ("serving", "other/serving", "wild", "serving", "old", "broken", "ca", "missing", "web", "")
TRUST = ("ca", "ca", "other/ca", "serving", "opaque", "missing", "web", "")
REVOKED = ("crl", "other/crl", "crl", "ca", "missing", "")
JWKS = ("jwks", "jwks", "opaque", "ca", "missing", "other/jwks")
HOSTS = (
    *("a.test", "b.test", "*.a.test", "x.a.test", "c.test", "d.test", "y.x.a.test", "e.test", "f.test"),
    *("*.b.test", "A.test", "*", "a.test:80", "-", "xn--bcher-kva.test", "127.0.0.1", "a" * 64 + ".test", ""),
)
PATHS = (
    *("/", "/a", "/a/b", "/a/", "/b", "/c/", "/a.b", "/a/b/c", "/d"),
    *("//", "/%2F", "/a b", "/é", "/" + "a" * 300, "a", "", "/(", "/[a-z]+", "/a{1001}", "/.*"),
)
REGEXES = ("/.*", "/[a-z]+", r"/\d+", "/(a|b)", "/x?", "(", "a{1001}", "(?i)x", "(?=x)", ".*" * 50, "\\", "", "[a-z]+")
HEADERS = (
    *("X-A", "x-b", "X-User", "x-c", "X-D", "x-e", "Accept", "x-f"),
    *("Host", "host", ":authority", ":method", "X A", "", "é", "x-contour-scope"),
    *("Set-Cookie", "l5d-dst-override", "x-envoy-max-retries", "te"),
)
VALUES = (
    *("v", "%REQ(X-A)%", "%HOSTNAME%", "w", "%CONTOUR_NAMESPACE%", "%CONTOUR_SERVICE_NAME%", "a b", "%PROTOCOL%"),
    *("", "%", "%%", "%NONE%", "%PROTOCOL", "a\nb", "é", "'; os.exit()", "x" * 2000, "%REQ(a?b):9999999999%"),
)
DURATIONS = (
    *("5s", "1h1m", "infinity", "1m", "10s", "1.5ms", "100ms", "2s"),
    *("0s", "infinite", "-5s", "5", "", "9999999999h", "300ns", "1d", "100000h", "2540400h", "0.0000001ns"),
)
NUMBERS = (80, 1, 100, 443, 5, 200, 301, 0, 8080, 404, 429, 599, 65535)
PORTS = (80, 80, 80, 443, 1, 0, 65535)
STRAYS = (None, "", "x", 0, -1, 1, 1.5, True, [], {}, [None], ["a"], "\x00", "\ud7ff", 2**31, 2**32, 2**63, "é" * 70000)
# No traffic is sent; but nothing in a test names the address of anybody else.
ADDRESSES = (
    *("127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.255.0.1"),
    *("::1", "localhost", "127.1", "::ffff:127.0.0.1", "", "x", "127.0.0.1:80"),
)

_OBJECTS = ("child", "loop", "child", "site", "web", "api", "auth", "missing", "")

# By the name of the field, in small letters.
_TEXTS: dict[str, tuple[str, ...]] = {
    "addresses": ADDRESSES,
    "addresstype": ("IPv4", "IPv4", "IPv6", "FQDN", "x"),
    "alloworigin": ("*", "http://a.test", r"https://.*\.a\.test", "http://*.a.test", "(", "a", ""),
    "allowmethods": ("GET", "POST", "PUT", "*", "get"),
    "apiversion": ("projectcontour.io/v1alpha1", "", "projectcontour.io/v2", "x"),
    "appprotocol": ("http", "kubernetes.io/h2c", "https", "kubernetes.io/ws", "x", ""),
    "body": ("sorry", "", "%", "é" * 5000),
    "cacertificate": TRUST,
    "casecret": TRUST,
    "cidr": (
        "10.0.0.0/8",
        "::/0",
        "127.0.0.1",
        "192.168.0.0/16",
        "fd00::/8",
        "10.0.0.0/33",
        "x",
        "",
        "0.0.0.0/0",
        "::ffff:1.2.3.4/99",
    ),
    "contains": ("v", "x", "a b", ""),
    "crlsecret": REVOKED,
    "dnslookupfamily": ("auto", "v4", "v6", "all", "x", ""),
    "domain": ("a.test", "b.test", "*", "", "é"),
    "exact": PATHS,
    "externalname": ("external.test", "localhost", "127.1", "external.test.", ""),
    "fqdn": HOSTS,
    "headername": HEADERS,
    "host": HOSTS,
    "hostname": HOSTS,
    "hosts": HOSTS,
    "ingressclassname": ("contour", "contour", "other", ""),
    "ip": ADDRESSES,
    "issuer": ("me", "you", ""),
    "key": ("key", "jwks", "tls.key", ""),
    "match": PATHS,
    "maximumprotocolversion": ("1.3", "1.2", "1.3", "1.1", "x", ""),
    "minimumprotocolversion": ("1.2", "1.3", "1.2", "1.1", "x", ""),
    "path": PATHS,
    "pathprefix": ("/check", "/", "", "x", "/%", "/é"),
    "pathtype": ("Prefix", "Exact", "ImplementationSpecific", "x"),
    "prefix": PATHS,
    "prefixrewrite": PATHS,
    "protocol": ("h2c", "h2", "tls", "http/1.1", "x", ""),
    "regex": REGEXES,
    "replacement": PATHS,
    "request": DURATIONS,  # of an IngressRoute's timeoutPolicy
    "require": ("jwt", "other", "missing", ""),
    "retryon": ("5xx", "reset", "5xx,reset", "x", ""),
    "scheme": ("http", "https", "x"),
    "secretname": SERVING,
    "strategy": ("RoundRobin", "Cookie", "RequestHash", "Random", "WeightedLeastRequest", "x", ""),
    "subjectname": ("web.test", ""),
    "subjectnames": ("web.test", "b.test"),
    "targetnamespaces": ("shop", "other", "*", ""),
    "type": ("ClusterIP", "ClusterIP", "LoadBalancer", "ExternalName", "x"),
    "unit": ("second", "minute", "hour", "day"),
    "uri": (
        *(
            "https://a.test/jwks",
            "http://b.test:8080/jwks",
            "https://b.test/",
            "http://a.test",
            "https://[::1]/",
            "http://localhost:1/jwks",
            "ftp://x",
        ),
        *("a", "", "https://a.test:99999/", "https://", "http://%zz/", "https://a.test:0/"),
    ),
    "value": VALUES,
    "window": ("10s", "1m", *DURATIONS),
    "aggression": ("1.0", "2", "1.5", "0", ".5", "x", "1e9"),
}
_TEXTS |= dict.fromkeys(
    ("response", "idle", "idleconnection", "pertrytimeout", "responsetimeout", "timeout", "cacheduration", "maxage"),
    DURATIONS,
)
_TEXTS |= dict.fromkeys(("allowheaders", "exposeheaders", "remove", "descriptorkey"), HEADERS)

# Where the field above tells more than the field itself.
_BY_PARENT: dict[tuple[str, str], tuple[str, ...]] = {
    ("header", "exact"): ("v", "x", "a b", ""),
    ("headers", "exact"): ("v", "x", "a b", ""),
    ("queryparameter", "exact"): ("v", "x", "a b", ""),
    ("header", "regex"): ("v.*", "[0-9]+", *REGEXES),
    ("queryparameter", "regex"): ("v.*", "[0-9]+", *REGEXES),
    ("queryparameter", "prefix"): ("v", "x", "a b", ""),
    ("allowedauthorizationheaders", "exact"): HEADERS,
    ("allowedupstreamheaders", "exact"): HEADERS,
    ("localjwks", "secretname"): JWKS,
    ("delegations", "secretname"): ("serving", "ca", "crl", "web", "*", ""),
    ("ports", "protocol"): ("TCP", "TCP", "TCP", "UDP", "x", ""),
    ("requestredirectpolicy", "path"): PATHS,
    ("healthcheckpolicy", "path"): ("/healthy", "/", "/b", "/a b", "", "x", "/é"),
    ("healthcheck", "path"): ("/healthy", "/", "/b", "/a b", "", "x", "/é"),
    ("internalredirectpolicy", "allowcrossschemeredirect"): ("Always", "Never", "SafeOnly"),
}
_NAME_OF: dict[str, tuple[str, ...]] = {
    "services": SERVICES,
    "service": SERVICES,
    "includes": _OBJECTS,
    "include": _OBJECTS,
    "delegate": _OBJECTS,
    "extensionref": ("auth", "auth", "plain", "missing", ""),
    "header": HEADERS,
    "headers": HEADERS,
    "set": HEADERS,
    "responseheaderstoadd": HEADERS,
    "queryparameter": ("q", "r", "", "é", "a b"),
    "cookierewritepolicies": ("session", "user", "other", "a=b", "", "x y"),
    "jwtproviders": ("jwt", "other", "third", ""),
    "ports": ("http", "tls", "", "x"),
    "port": ("http", "http", "x", ""),
}


def texts(name: str, parent: str, others: tuple[str, ...]) -> tuple[str, ...]:
    """What belongs in a text field, the usual first; `others` if its name does not tell."""
    if (parent, name) in _BY_PARENT:
        return _BY_PARENT[parent, name]
    if name == "name":
        return _NAME_OF.get(parent, _OBJECTS)
    if name == "namespace":
        return (*NAMESPACES, "shop", "missing", "")
    return _TEXTS.get(name, others)


def one_of(values: tuple[Any, ...]) -> Strategy:
    """Mostly one of the first half."""
    return mostly(st.sampled_from(values[: (len(values) + 1) // 2]), st.sampled_from(values), 10)


def mostly(right: Strategy, wrong: Strategy, rarity: int = 40) -> Strategy:
    # Not 0, which is tried more often than others, and is what examples shrink to.
    return st.integers(0, rarity).flatmap(lambda number: wrong if number == rarity // 2 else right)


def now_and_then(right: Strategy) -> Strategy:
    """Something else in one of some hundreds: an object has dozens of fields."""
    return mostly(right, st.sampled_from(STRAYS), 400)
