"""operations.md §5.4, row by row: what the annotations of an Ingress mean."""

from __future__ import annotations

import pytest

from contour.api.meta import ObjectMeta
from contour.dag.annotations import DEFAULT, IngressSettings, ingress_settings
from contour.dag.annotations_contour import ContourAnnotations
from contour.dag.graph import Retry

SECOND = 1_000_000_000
P, H = "projectcontour.io/", "contour.heptio.com/"
BAD_SOON = 'unable to parse timeout string "soon": time: invalid duration "soon"'


def settings(**annotations: str) -> IngressSettings:
    return ingress_settings(ObjectMeta(annotations=annotations))


def contour(annotations: dict[str, str]) -> ContourAnnotations:
    found = settings(**annotations)
    assert found.problems == ()
    return found.contour


def test_no_annotations_mean_the_defaults() -> None:
    assert ingress_settings(ObjectMeta()) == settings() == settings(owner="shop") == DEFAULT


@pytest.mark.parametrize(
    ("annotations", "redirect", "http"),
    [
        ({"ingress.kubernetes.io/force-ssl-redirect": "true"}, True, True),
        ({"ingress.kubernetes.io/force-ssl-redirect": "yes"}, False, True),
        ({"kubernetes.io/ingress.allow-http": "false"}, False, False),
        ({"kubernetes.io/ingress.allow-http": "False"}, False, True),
        (
            {"kubernetes.io/ingress.allow-http": "false", "ingress.kubernetes.io/force-ssl-redirect": "true"},
            True,
            True,
        ),
    ],
)
def test_where_plain_requests_go(annotations: dict[str, str], redirect: bool, http: bool) -> None:
    found = settings(**annotations)
    assert (found.redirect_to_https, found.http) == (redirect, http)


@pytest.mark.parametrize(
    ("annotations", "timeout"),
    [
        ({P + "response-timeout": "90s"}, 90 * SECOND),
        ({P + "response-timeout": "infinity"}, 0),
        ({P + "response-timeout": "0s"}, None),
        ({P + "request-timeout": "5s"}, 5 * SECOND),
        ({H + "request-timeout": "6s"}, 6 * SECOND),
        ({P + "request-timeout": "5s", H + "request-timeout": "6s"}, 5 * SECOND),
        ({P + "response-timeout": "4s", P + "request-timeout": "5s"}, 4 * SECOND),
        ({P + "response-timeout": "", P + "request-timeout": "5s"}, 5 * SECOND),
    ],
)
def test_response_timeout(annotations: dict[str, str], timeout: int | None) -> None:
    assert contour(annotations).response_timeout == timeout


@pytest.mark.parametrize(
    ("annotations", "retry"),
    [
        ({P + "num-retries": "3", P + "per-try-timeout": "1s"}, None),
        ({P + "retry-on": "5xx,gateway-error"}, Retry("5xx,gateway-error", 1)),
        ({H + "retry-on": "reset", H + "num-retries": "2", H + "per-try-timeout": "1s"}, Retry("reset", 2, SECOND)),
        ({P + "retry-on": "5xx", P + "per-try-timeout": "150ms"}, Retry("5xx", 1, 150_000_000)),
        ({P + "retry-on": "5xx", P + "per-try-timeout": "infinity"}, Retry("5xx", 1, 0)),
        *(
            ({P + "retry-on": "5xx", P + "num-retries": text}, Retry("5xx", count))
            for text, count in {
                "-1": 0, "0": 1, "1": 1, "7": 7, "-2": 1, "+4": 4, "": 1, "2147483647": 2147483647, "-2147483648": 1,
            }.items()
        ),
    ],
)  # fmt: skip
def test_retries(annotations: dict[str, str], retry: Retry | None) -> None:
    assert contour(annotations).retry == retry


@pytest.mark.parametrize(
    ("annotations", "versions"),
    [
        ({P + "tls-minimum-protocol-version": "1.3"}, ("1.3", "1.3")),
        ({H + "tls-minimum-protocol-version": "1.3"}, ("1.3", "1.3")),
        ({H + "tls-minimum-protocol-version": "1.1"}, ("1.2", "1.3")),
        ({P + "tls-maximum-protocol-version": "1.2"}, ("1.2", "1.2")),
    ],
)
def test_tls_versions(annotations: dict[str, str], versions: tuple[str, str]) -> None:
    found = contour(annotations)
    assert (found.min_tls, found.max_tls) == versions


@pytest.mark.parametrize(
    ("key", "text", "problem"),
    [
        *(
            (P + "num-retries", text, f'"{text}" is not a number')
            for text in ("many", "1.5", " 7", "2147483648", "9" * 50)
        ),
        (H + "num-retries", "many", '"many" is not a number'),
        (P + "tls-minimum-protocol-version", "TLSv1.3", '"TLSv1.3" is neither 1.2 nor 1.3'),
        (P + "tls-maximum-protocol-version", "1.4", '"1.4" is neither 1.2 nor 1.3'),
        (H + "tls-minimum-protocol-version", "1.4", '"1.4" is neither 1.2 nor 1.3'),
        (H + "request-timeout", "soon", BAD_SOON),
    ],
)
def test_what_cannot_be_read_is_told_by_the_name_it_has(key: str, text: str, problem: str) -> None:
    found = settings(**{key: text, P + "retry-on": "5xx"})
    assert [one.message for one in found.problems] == [f'annotation "{key}": {problem}']
    assert found.contour == ContourAnnotations(retry=Retry("5xx", 1))


def test_websocket_paths_are_trimmed() -> None:
    assert contour({P + "websocket-routes": " /a ,/b,, /c"}).websocket_paths == {"/a", "/b", "/c"}
    assert contour({H + "websocket-routes": "/a"}).websocket_paths == {"/a"}


@pytest.mark.parametrize("name", ["response-timeout", "request-timeout", "per-try-timeout"])
def test_a_timeout_that_cannot_be_read_is_told_and_left_out(name: str) -> None:
    found = settings(**{P + name: "soon", P + "retry-on": "5xx"})
    assert [(one.type, one.reason, one.message) for one in found.problems] == [
        ("IngressError", "AnnotationNotValid", f'annotation "{P}{name}": {BAD_SOON}')
    ]
    assert (found.contour.response_timeout, found.contour.retry) == (None, Retry("5xx", 1))
