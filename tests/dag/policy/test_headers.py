import pytest

from contour.api.invalid import Invalid
from contour.api.projectcontour import HeadersPolicy, HeaderValue
from contour.dag.graph import Headers
from contour.dag.policy.headers import escape, request_headers, response_headers

VARIABLES = {"CONTOUR_NAMESPACE": "shop", "CONTOUR_SERVICE_NAME": "cart", "CONTOUR_SERVICE_PORT": "8080"}
BAD_NAME = (
    "[a valid HTTP header must consist of alphanumeric characters or '-' "
    "(e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')]"
)


def policy(*pairs: tuple[str, str], remove: tuple[str, ...] = ()) -> HeadersPolicy:
    return HeadersPolicy(set=tuple(HeaderValue(name, value) for name, value in pairs), remove=remove)


@pytest.mark.parametrize("headers", [request_headers, response_headers])
def test_names_are_canonical_and_sorted(headers):
    written = policy(("x-zone", "1"), ("X-FOO", "2"), ("content-type", "3"), remove=("x-b", "X-A"))
    expected = Headers(set=(("Content-Type", "3"), ("X-Foo", "2"), ("X-Zone", "1")), remove=("X-A", "X-B"))
    assert headers(written, {}) == expected
    assert headers(None, {}) == Headers()


@pytest.mark.parametrize("headers", [request_headers, response_headers])
@pytest.mark.parametrize(
    ("written", "message"),
    [
        (policy(("x-foo", "1"), ("X-Foo", "2")), 'duplicate header addition: "X-Foo"'),
        (policy(("x_foo", "1")), f'invalid set header "X_foo": {BAD_NAME}'),
        (policy(("x foo", "1")), f'invalid set header "x foo": {BAD_NAME}'),
        (policy((":path", "1")), f'invalid set header ":path": {BAD_NAME}'),
        (policy(remove=("x-foo", "X-FOO")), 'duplicate header removal: "X-Foo"'),
        (policy(remove=("x/foo",)), f'invalid remove header "x/foo": {BAD_NAME}'),
    ],
)
def test_mistakes(headers, written: HeadersPolicy, message: str):
    assert headers(written, {}) == Invalid(message)


def test_host_is_not_for_responses():
    assert response_headers(policy(("host", "a.test")), {}) == Invalid('rewriting "Host" header is not supported')


@pytest.mark.parametrize(
    ("value", "literal", "header"),
    [
        ("a.test", "a.test", ""),
        ("100%", "100%", ""),  # verbatim, never escaped
        ("%REQ(x-HOST)%", "", "X-Host"),
        ("before %REQ(x-host)% after", "", "X-Host"),
        ("%REQ(:path)%", "%REQ(:path)%", ""),
        ("%REQ(a?b)%", "%REQ(a?b)%", ""),
    ],
)
def test_host_rewrite(value: str, literal: str, header: str):
    expected = Headers(host_rewrite=literal, host_rewrite_header=header)
    assert request_headers(policy(("HOST", value)), {}) == expected


def test_the_last_host_wins_and_both_kinds_may_stand_together():
    written = policy(("Host", "a.test"), ("host", "b.test"), ("host", "%REQ(x)%"))
    assert request_headers(written, {}) == Headers(host_rewrite="b.test", host_rewrite_header="X")


def test_removing_host_is_as_allowed_as_any_other():
    assert request_headers(policy(remove=("host",)), {}) == Headers(remove=("Host",))


@pytest.mark.parametrize(
    ("value", "escaped"),
    [
        ("plain", "plain"),
        ("50%", "50%%"),
        ("%FOO%", "%%FOO%%"),
        ("%%", "%%%%"),
        ("%CONTOUR_NAMESPACE%", "shop"),
        ("a-%CONTOUR_SERVICE_NAME%:%CONTOUR_SERVICE_PORT%", "a-cart:8080"),
        ("%PROTOCOL%", "%PROTOCOL%"),
        ("%DOWNSTREAM_REMOTE_ADDRESS%", "%DOWNSTREAM_REMOTE_ADDRESS%"),
        ("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"),
        ("%DOWNSTREAM_PEER_CERT_V_START%", "%DOWNSTREAM_PEER_CERT_V_START%"),
        ("%TLS_JA4_FINGERPRINT%", "%TLS_JA4_FINGERPRINT%"),
        ("%HOSTNAME% is 100% %nothing%", "%HOSTNAME% is 100%% %%nothing%%"),
        ("%START_TIME%", "%%START_TIME%%"),
        ("%REQ(x-id)%", "%REQ(x-id)%"),
        ("%REQ(:path)%", "%REQ(:path)%"),
        ("%REQ(a?b)%", "%REQ(a?b)%"),
        ("%REQ(a?:authority):12%", "%REQ(a?:authority):12%"),
        ("%REQ(a):x%", "%%REQ(a):x%%"),
        ("%REQ(a b)%", "%%REQ(a b)%%"),
        ("%REQ(\u00e9)%", "%%REQ(\u00e9)%%"),  # letters are ASCII ones, as in RE2
        ("%RESP(x)%", "%%RESP(x)%%"),
    ],
)
def test_escaping(value: str, escaped: str):
    assert escape(value, VARIABLES) == escaped
    assert response_headers(policy(("x", value)), VARIABLES) == Headers(set=(("X", escaped),))


def test_variables_are_known_only_where_they_are_given():
    assert escape("%CONTOUR_SERVICE_NAME%", {"CONTOUR_NAMESPACE": "shop"}) == "%%CONTOUR_SERVICE_NAME%%"
