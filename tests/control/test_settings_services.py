"""What settings say of the services that Envoy asks: refused at the start, where the reference ends, or later Envoy would
refuse every listener (operations.md §2.5).
"""

from __future__ import annotations

import pytest

from contour.control.settings import SettingsError, load

_MATCHERS = "Spec.Virtualhost.Authorization.HTTPServerSettings.Allowed{}Headers is invalid: "
_EXACTLY_ONE = "only one of prefix, suffix, exact, and contains should be set in the allowedHeader"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "responseTimeout: h",
            (
                "Spec.Virtualhost.Authorization.ResponseTimeout is invalid: "
                'unable to parse timeout string "h": time: invalid duration "h"'
            ),
        ),
        (
            "serviceType: http, authPolicy: {context: {a: b}}",
            "Spec.Virtualhost.Authorization.AuthPolicy.Context are only applied to grpc service type",
        ),
        (
            "serviceType: http, httpSettings: {allowedAuthorizationHeaders: [{ignoreCase: true}]}",
            f"{_MATCHERS.format('Authorization')}one of prefix, suffix, exact or contains is required for each allowedHeader",
        ),
        (
            "serviceType: http, httpSettings: {allowedUpstreamHeaders: [{exact: a, prefix: b}]}",
            f"{_MATCHERS.format('Upstream')}{_EXACTLY_ONE}",
        ),
        (
            "serviceType: http, httpSettings: {pathPrefix: check}",
            "invalid globalExtAuth.httpSettings.pathPrefix: must start with /",
        ),
        (
            "responseTimeout: 2000000h",
            "invalid globalExtAuth.responseTimeout: must be between 0 and 4294967295 seconds",
        ),
    ],
    ids=["timeout", "context", "sent-headers", "upstream-headers", "path-prefix", "timeout-of-envoy"],
)
def test_authorization(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(f"globalExtAuth: {{extensionService: a/b, {text}}}")
    assert str(caught.value) == message


def test_authorization_that_can_be_asked() -> None:
    settings = load("globalExtAuth: {extensionService: b, serviceType: http, httpSettings: {pathprefix: /check}}")
    policy = settings.graph.authorization
    assert policy is not None
    assert (policy.extension_ref.namespace, policy.extension_ref.name) == ("default", "b")
    assert policy.http_settings is not None
    assert policy.http_settings.path_prefix == "/check"


def test_a_rate_limit_service_has_a_domain() -> None:
    service = load("rateLimitService: {extensionService: a/b}").graph.rate_limit_service
    assert service is not None
    assert service.domain == "contour"


@pytest.mark.parametrize(
    ("descriptors", "message"),
    [
        ("[{}]", "descriptors[0]: actions: "),
        (
            "[{entries: [{remoteAddress: {}}]}, {entries: [{genericKey: {key: k}}]}]",
            "descriptors[1]: actions[0].generic",
        ),
        (
            "[{entries: [{requestHeaderValueMatch: {value: v, headers: [{name: X-A, regex: '('}]}}]}]",
            "descriptors[0].entries[0].requestHeaderValueMatch: X-A: ",
        ),
    ],
    ids=["no-entries", "no-value", "expression"],
)
def test_a_default_policy_that_envoy_would_refuse(descriptors: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(
            f"rateLimitService: {{extensionService: a/b, defaultGlobalRateLimitPolicy: {{descriptors: {descriptors}}}}}"
        )
    assert str(caught.value).startswith(f"invalid rateLimitService.defaultGlobalRateLimitPolicy.{message}")
