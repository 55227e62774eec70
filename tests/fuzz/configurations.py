"""Configuration files from the structures that read them: mostly such as operators write, now and then not."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from msgspec import inspect
from tests.fuzz.values import ADDRESSES, DURATIONS, HEADERS, STRAYS, VALUES, Strategy, mostly, one_of

from contour.control.settings.file import File
from contour.control.settings.tlsparameters import CIPHERS, CURVES

_EXTENSIONS = ("shop/auth", "shop/plain", "shop/missing", "plain", "/x", "a/b/c", "")
_FORMATS = (
    *("%START_TIME% %REQ(:METHOD)%\n", "%REQ(X-A?X-B):10%\n", "plain\n", "%RESPONSE_CODE%\n", "%PROTOCOL%\n"),
    *("%METADATA(ROUTE:a:b)%\n", "%ENVIRONMENT(HOSTNAME)%\n", "%START_TIME(%s.%3f)%\n", "%REQ_WITHOUT_QUERY(:PATH)%\n"),
    *(
        "100%\n",
        "%NOPE%\n",
        "%REQ%\n",
        "%REQ(a?b?c)%\n",
        "%PROTOCOL(x)%\n",
        "no newline",
        "%TRAILER(é)%\n",
        "%REQ(\n)%\n",
    ),
    *("%GRPC_STATUS(NUMBER)%\n", "%START_TIME(%f%)%\n", "%START_TIME(\x00)%\n", "%UPSTREAM_FILTER_STATE%\n", "\x00\n"),
)
_FIELDS = (
    *("@timestamp", "method", "x=%REQ(X-A)%", "protocol", "contour_config_name", "y=fixed", "grpc_status"),
    *("nope", "=x", "a=%NOPE%", "", "tls_ja3_fingerprint", "b=%", "c=%START_TIME(%s)%"),
)
_TEXTS: dict[str, tuple[str, ...]] = {
    "accesslog-format": ("envoy", "json", "json", "xml"),
    "accesslog-format-string": _FORMATS,
    "accesslog-level": ("info", "error", "critical", "disabled", "loud"),
    "json-fields": _FIELDS,
    "address": ("127.0.0.1", "::1", "0.0.0.0", "::", *ADDRESSES, "256.0.0.1", "::%lo", "127.0.0.1\x00"),
    "algorithm": ("gzip", "brotli", "zstd", "disabled", "lzw"),
    "cipher-suites": (
        *sorted(CIPHERS),
        "[AES128-SHA|AES256-SHA]",
        "[",
        "[]",
        "NULL",
        "[AES128-SHA",
        "TLS_AES_128_GCM_SHA256",
    ),
    "connection-balancer": ("exact", "", "rough"),
    "default-http-versions": ("HTTP/1.1", "http/2", "HTTP/2", "HTTP/3"),
    "dns-lookup-family": ("auto", "v4", "v6", "all", "v5"),
    "ecdh-curves": (*sorted(CURVES), *sorted(CURVES), "P-42"),
    "extensionService": _EXTENSIONS,
    "minimum-protocol-version": ("1.2", "1.3", "1.2", "1.1"),
    "maximum-protocol-version": ("1.3", "1.2", "1.3", "1.4"),
    "namespace": ("shop", "shop", "other", "", "x/y"),
    "name": ("serving", "wild", "missing", "", "x/y"),
    "remove": HEADERS,
    "requestHeaderName": HEADERS,
    "serverHeaderTransformation": ("overwrite", "append_if_absent", "pass_through", "x"),
    "serviceType": ("grpc", "http", "http", "x"),
    "pathPrefix": ("/check", "/", "x", "", "/%", "/a?b", "/é"),
    "responseTimeout": DURATIONS,
    "domain": ("limits", "x", "", "é"),
    "tagName": ("a", "b", "c", "", "é"),
    "overallSampling": ("100", "0", "50.5", "1e2", "101", "-1", "nan", "inf", "1_0", "0x10", "x", ""),
}
_SAMPLINGS = ("clientSampling", "randomSampling")
_PATHS = ("/certs/a.pem", "/certs/b.pem", "", "relative", "\x00")
_NUMBERS = (
    1,
    2,
    100,
    8002,
    8443,
    65535,
    9001,
    0,
    255,
    256,
    -1,
    65536,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32,
    2**63,
    1e3,
    1.5,
)
_STRAY = st.sampled_from(STRAYS)


def configurations() -> Strategy:
    """As a value, for JSON, which is YAML."""
    return _struct(File, most=5)


def _struct(cls: type, *, most: int) -> Strategy:
    kind = inspect.type_info(cls)
    assert isinstance(kind, inspect.StructType)
    fields = {field.encode_name: field.type for field in kind.fields}
    if not fields:
        return st.just({})
    required = [name for name in ("extensionService", "tagName") if name in fields]
    return st.lists(st.sampled_from(sorted(fields)), max_size=most, unique=True).flatmap(
        lambda names: st.fixed_dictionaries(
            {name: mostly(_value(fields[name], name), _STRAY, 100) for name in dict.fromkeys([*required, *names])}
        )
    )


def _value(kind: inspect.Type, name: str) -> Strategy:
    if isinstance(kind, inspect.UnionType):
        (kind,) = (one for one in kind.types if not isinstance(one, inspect.NoneType))
    match kind:
        case inspect.StructType():
            return _struct(kind.cls, most=4)
        case inspect.VarTupleType():
            return st.lists(_value(kind.item_type, name), max_size=3)
        case inspect.DictType():
            return st.dictionaries(one_of(HEADERS), one_of(VALUES), max_size=3)
        case inspect.BoolType():
            return st.booleans()
        case inspect.IntType() | inspect.FloatType():
            return one_of(_NUMBERS)
        case _:
            return one_of(_of_name(name))


def _of_name(name: str) -> tuple[Any, ...]:
    if name in _TEXTS:
        return _TEXTS[name]
    if name in _SAMPLINGS:
        return _TEXTS["overallSampling"]
    if name.endswith("-path"):
        return _PATHS
    return DURATIONS if "timeout" in name or "duration" in name or "period" in name else VALUES
