"""A case for each row of httpproxy.md §3.4 and §2.4 that an HTTPProxy's own checks can raise, texts to the letter."""

from __future__ import annotations

from typing import Any

import pytest
from tests.dag.world import (
    AUTHORITY,
    VALID,
    World,
    delegation,
    proxy,
    root,
    secret,
    service,
    serving,
    to,
)

from contour.dag.verdict import Finding

ORPHANED = ("Orphaned", "Orphaned", "this HTTPProxy is not part of a delegation chain from a root HTTPProxy")
SERVICES = (
    service("web"),
    service("other"),
    service("many", {"port": 80}, {"name": "udp", "port": 53, "protocol": "UDP"}),
)


def errors_of(*objects: dict[str, Any], name: str = "site", **options: Any) -> list[tuple[str, str, str]]:
    return World(*SERVICES, *objects, **options).errors(name)


def route_errors(*routes: dict[str, Any], objects: tuple[dict[str, Any], ...] = ()) -> list[tuple[str, str, str]]:
    return errors_of(root("site", "shop.test", routes=list(routes)), *objects)


# --- roots ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fqdn", "spec", "options", "error"),
    [
        ("", {}, {}, ("VirtualHostError", "FQDNNotSpecified", "Spec.VirtualHost.Fqdn must be specified")),
        ("  ", {}, {}, ("VirtualHostError", "FQDNNotSpecified", "Spec.VirtualHost.Fqdn must be specified")),
        (
            "shop.test",
            {},
            {"root_namespaces": ("roots",)},
            (
                "RootNamespaceError",
                "RootProxyNotAllowedInNamespace",
                "root HTTPProxy cannot be defined in this namespace",
            ),
        ),
        (
            "shop.test",
            {"routes": []},
            {},
            ("SpecError", "NothingDefined", "HTTPProxy.Spec must have at least one Route, Include, or a TCPProxy"),
        ),
        (
            "shop.test",
            {"virtualhost": {"jwtProviders": [{"name": "a"}]}},
            {},
            (
                "JWTVerificationError",
                "JWTVerificationNotPermitted",
                "Spec.VirtualHost.JWTProviders can only be defined for root HTTPProxies that terminate TLS",
            ),
        ),
        (
            "shop.test",
            {"virtualhost": {"authorization": {"extensionRef": {"name": "a"}}}},
            {},
            (
                "AuthError",
                "AuthNotPermitted",
                (
                    "Spec.VirtualHost.Authorization.ExtensionServiceRef can only be defined for root HTTPProxies "
                    "that terminate TLS"
                ),
            ),
        ),
        (
            "shop.test",
            {"virtualhost": {"ipAllowPolicy": [{"cidr": "10.0.0.0/8"}], "ipDenyPolicy": [{"cidr": "10.0.0.0/8"}]}},
            {},
            (
                "IPFilterError",
                "IncompatibleIPAddressFilters",
                "Spec.VirtualHost.IPAllowFilterPolicy and Spec.VirtualHost.IPDepnyFilterPolicy cannot both be defined.",
            ),
        ),
        (
            "shop.test",
            {"tcpproxy": {"services": [{"name": "web", "port": 80}]}},
            {},
            (
                "TCPProxyError",
                "TLSMustBeConfigured",
                "Spec.TCPProxy requires that either Spec.TLS.Passthrough or Spec.TLS.SecretName be set",
            ),
        ),
    ],
)
def test_a_root_that_is_not_evaluated(
    fqdn: str, spec: dict[str, Any], options: dict[str, Any], error: tuple[str, str, str]
) -> None:
    world = World(*SERVICES, root("site", fqdn, **spec), **options)
    assert world.errors("site") == [error]
    assert world.host(fqdn).http is None
    assert world.host(fqdn).https is None
    assert world.host(fqdn).roots == ()


def test_a_stop_before_the_routes_makes_children_orphans() -> None:
    objects = (root("site", "", includes=[{"name": "child"}]), proxy("child", routes=[to("web")]))
    assert errors_of(*objects, name="child") == [ORPHANED]


def test_policies_without_protection_do_not_keep_a_host_from_being_served() -> None:
    virtualhost = {
        "authorization": {"authPolicy": {"disabled": True}},
        "corsPolicy": {"allowOrigin": ["*"], "allowMethods": ["GET"]},
        "rateLimitPolicy": {"local": {"requests": 1, "unit": "second"}},
    }
    policies = {"jwtVerificationPolicy": {"disabled": True}, "authPolicy": {"disabled": True}}
    world = World(*SERVICES, root("site", "shop.test", virtualhost=virtualhost, routes=[to("web", **policies)]))
    assert world.verdict("site") == VALID
    assert len(world.routes("shop.test")) == 1


# --- TLS -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tls", "error"),
    [
        (
            {"secretName": "cert", "passthrough": True},
            ("TLSConfigNotValid", "Spec.VirtualHost.TLS: both Passthrough and SecretName were specified"),
        ),
        (
            {"secretName": " "},
            ("TLSConfigNotValid", "Spec.VirtualHost.TLS: neither Passthrough nor SecretName were specified"),
        ),
        (
            {"passthrough": True, "clientValidation": {}},
            (
                "TLSIncompatibleFeatures",
                "Spec.VirtualHost.TLS passthrough cannot be combined with tls.clientValidation",
            ),
        ),
        (
            {"secretName": "vault/cert"},
            ("DelegationNotPermitted", 'Spec.VirtualHost.TLS Secret "vault/cert" certificate delegation not permitted'),
        ),
        (
            {"secretName": "absent"},
            ("SecretNotValid", 'Spec.VirtualHost.TLS Secret "absent" is invalid: Secret not found'),
        ),
        (
            {"secretName": "empty"},
            ("SecretNotValid", 'Spec.VirtualHost.TLS Secret "empty" is invalid: missing TLS certificate'),
        ),
        (
            {"secretName": "cert", "minimumProtocolVersion": "1.3", "maximumProtocolVersion": "1.2"},
            (
                "TLSConfigNotValid",
                "Spec.Virtualhost.TLS the minimum protocol version is greater than the maximum protocol version",
            ),
        ),
        (
            {"secretName": "cert", "enableFallbackCertificate": True, "clientValidation": {}},
            ("TLSIncompatibleFeatures", "Spec.Virtualhost.TLS fallback & client validation are incompatible"),
        ),
        (
            {"secretName": "cert", "enableFallbackCertificate": True},
            (
                "FallbackNotPresent",
                (
                    "Spec.Virtualhost.TLS enabled fallback but the fallback Certificate Secret is not configured in "
                    "Contour configuration file"
                ),
            ),
        ),
    ],
)
def test_tls_errors(tls: dict[str, Any], error: tuple[str, str]) -> None:
    world = World(
        *SERVICES,
        serving("cert"),
        serving("vault/cert"),
        secret("empty"),
        root("site", "shop.test", virtualhost={"tls": tls}),
    )
    assert world.errors("site") == [("TLSError", *error)]
    assert world.host("shop.test").http is None
    assert world.host("shop.test").https is None


@pytest.mark.parametrize(
    ("virtualhost", "message"),
    [
        ({"authorization": {}}, "Spec.Virtualhost.TLS fallback & client authorization are incompatible"),
        ({"jwtProviders": [{"name": "a"}]}, "Spec.Virtualhost.TLS fallback & JWT providers are incompatible"),
    ],
)
def test_fallback_and_what_it_cannot_be_combined_with(virtualhost: dict[str, Any], message: str) -> None:
    tls = {"secretName": "cert", "enableFallbackCertificate": True}
    assert errors_of(serving("cert"), root("site", "shop.test", virtualhost={"tls": tls, **virtualhost})) == [
        ("TLSError", "TLSIncompatibleFeatures", message)
    ]


def test_passthrough_with_fallback_is_an_error_beside_the_next_one() -> None:
    tls = {"passthrough": True, "enableFallbackCertificate": True, "secretName": "cert"}
    assert errors_of(root("site", "shop.test", virtualhost={"tls": tls})) == [
        (
            "TLSError",
            "TLSIncompatibleFeatures",
            "Spec.VirtualHost.TLS: both Passthrough and enableFallbackCertificate were specified",
        ),
        ("TLSError", "TLSConfigNotValid", "Spec.VirtualHost.TLS: both Passthrough and SecretName were specified"),
    ]


@pytest.mark.parametrize(
    ("targets", "valid"),
    [((), False), (("other",), False), (("*", "other"), False), (("*",), True), (("other", "shop"), True)],
)
def test_a_secret_of_another_namespace_needs_consent(targets: tuple[str, ...], *, valid: bool) -> None:
    world = World(
        *SERVICES,
        serving("vault/cert"),
        delegation("vault/grant", "cert", *targets),
        root("site", "shop.test", virtualhost={"tls": {"secretName": "vault/cert"}}),
    )
    assert (world.verdict("site") == VALID) is valid
    assert (world.host("shop.test").https is not None) is valid


# --- names ---------------------------------------------------------------------------------------------------------


def test_roots_with_one_name_are_all_refused() -> None:
    world = World(
        *SERVICES,
        root("b/site", "Shop.test", includes=[{"name": "child", "namespace": "shop"}]),
        root("a/site", "shop.test"),
        proxy("child", routes=[to("web")]),
    )
    error = (
        "VirtualHostError",
        "DuplicateVhost",
        'fqdn "shop.test" is used in multiple HTTPProxies: a/site, b/site',
    )
    assert world.errors("a/site") == world.errors("b/site") == [error]
    assert world.host("shop.test").http is None
    assert world.host("Shop.test").http is None
    assert world.errors("child") == [ORPHANED]
    world.delete("HTTPProxy", "a/site")
    assert world.errors("b/site") == []
    assert world.host("Shop.test").http is not None
    assert world.graph.hosts.get("shop.test") is None


def test_roots_without_a_name_collide_too() -> None:
    world = World(root("a/site", ""), root("b/site", ""))
    assert world.errors("a/site") == [
        ("VirtualHostError", "DuplicateVhost", 'fqdn "" is used in multiple HTTPProxies: a/site, b/site')
    ]


def test_a_wildcard_and_a_name_below_it_do_not_collide() -> None:
    world = World(*SERVICES, root("a", "*.shop.test"), root("b", "a.shop.test"))
    assert world.verdict("a") == world.verdict("b") == VALID


# --- includes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conditions", "error"),
    [
        (
            [{"exact": "/a"}],
            (
                "IncludeError",
                "PathMatchConditionsNotValid",
                "include: exact conditions are not allowed in includes block",
            ),
        ),
        (
            [{"prefix": "a"}],
            (
                "IncludeError",
                "PathMatchConditionsNotValid",
                "include: prefix conditions must start with /, a was supplied",
            ),
        ),
        (
            [{"header": {"name": "x", "regex": "("}}],
            (
                "RouteError",
                "HeaderMatchConditionsNotValid",
                "invalid regular expression specified for 'regex' condition",
            ),
        ),
        (
            [{"queryParameter": {"name": "x"}}],
            (
                "RouteError",
                "QueryParameterMatchConditionsNotValid",
                "must specify at least one query parameter condition",
            ),
        ),
    ],
)
def test_an_include_with_bad_conditions_is_skipped(conditions: list[Any], error: tuple[str, str, str]) -> None:
    world = World(
        *SERVICES,
        root("site", "shop.test", includes=[{"name": "child", "conditions": conditions}], routes=[to("web")]),
        proxy("child", routes=[to("other", "/child")]),
    )
    assert world.errors("site") == [error]
    assert world.errors("child") == [ORPHANED]
    assert [route.path.value for route in world.routes("shop.test")] == ["/"]


def test_includes_that_lead_nowhere() -> None:
    world = World(
        *SERVICES,
        root(
            "site",
            "shop.test",
            includes=[
                {"name": "absent", "namespace": "nowhere", "conditions": [{"prefix": "/a"}]},
                {"name": "other", "conditions": [{"prefix": "/b"}]},
                {"name": "absent"},
            ],
        ),
        root("other", "other.test"),
    )
    assert world.errors("site") == [
        ("IncludeError", "IncludeNotFound", "include nowhere/absent not found"),
        (
            "IncludeError",
            "RootIncludesRoot",
            "root httpproxy cannot include another root httpproxy (shop/other)",
        ),
        ("IncludeError", "IncludeNotFound", "include shop/absent not found"),
    ]


def test_duplicate_includes() -> None:
    same = [{"prefix": "/a"}, {"header": {"name": "x", "present": True}}]
    world = World(
        *SERVICES,
        root(
            "site",
            "shop.test",
            includes=[
                {"name": "absent", "conditions": same},
                {"name": "child", "conditions": same[::-1]},
                {"name": "everything"},
                {"name": "everything", "conditions": [{"prefix": "/"}]},
            ],
        ),
        proxy("child", routes=[to("web")]),
        proxy("everything", routes=[to("web")]),
    )
    assert world.errors("site") == [
        ("IncludeError", "IncludeNotFound", "include shop/absent not found"),
        ("IncludeError", "DuplicateMatchConditions", "duplicate conditions defined on an include"),
    ]
    assert world.errors("child") == [ORPHANED]
    assert world.verdict("everything") == VALID


def test_a_cycle_is_named_on_the_proxy_that_closes_it() -> None:
    world = World(
        *SERVICES,
        root("site", "shop.test", includes=[{"name": "a"}]),
        proxy("a", includes=[{"name": "b"}], routes=[to("web", "/a")]),
        proxy("b", includes=[{"name": "a", "conditions": [{"prefix": "/x"}]}], routes=[to("web", "/b")]),
    )
    assert world.verdict("site") == world.verdict("b") == VALID
    assert world.errors("a") == [
        (
            "IncludeError",
            "IncludeCreatesCycle",
            "include creates an include cycle: shop/site -> shop/a -> shop/b -> shop/a",
        )
    ]
    assert [route.path.value for route in world.routes("shop.test")] == ["/b", "/a"]


def test_a_cycle_that_no_root_leads_to_is_orphaned() -> None:
    world = World(proxy("a", includes=[{"name": "b"}]), proxy("b", includes=[{"name": "a"}]))
    assert world.errors("a") == world.errors("b") == [ORPHANED]


def test_a_root_that_includes_itself() -> None:
    assert errors_of(root("site", "shop.test", includes=[{"name": "site"}])) == [
        ("IncludeError", "RootIncludesRoot", "root httpproxy cannot include another root httpproxy (shop/site)")
    ]


def test_an_error_of_a_child_is_the_childs_alone() -> None:
    world = World(
        *SERVICES,
        root("site", "shop.test", includes=[{"name": "child"}], routes=[to("web")]),
        proxy("child", routes=[to("absent", "/child")]),
    )
    assert world.verdict("site") == VALID
    assert [reason for _, reason, _ in world.errors("child")] == ["ServiceUnresolvedReference"]


# --- routes --------------------------------------------------------------------------------------------------------

HEADER_NAME = (
    "[a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', "
    "regex used for validation is '[-A-Za-z0-9]+')]"
)
ACTIONS = "must set exactly one of route.services or route.requestRedirectPolicy or route.directResponsePolicy"


@pytest.mark.parametrize(
    ("route", "error"),
    [
        ({}, ("RouteError", "RouteActionCountNotValid", ACTIONS)),
        (
            to("web", requestRedirectPolicy={"hostname": "a.test"}),
            ("RouteError", "RouteActionCountNotValid", ACTIONS),
        ),
        (
            {"requestRedirectPolicy": {}, "directResponsePolicy": {"statusCode": 200}},
            ("RouteError", "RouteActionCountNotValid", ACTIONS),
        ),
        (
            to("web", "a"),
            (
                "RouteError",
                "PathMatchConditionsNotValid",
                "route: prefix conditions must start with /, a was supplied",
            ),
        ),
        (
            to("web") | {"conditions": [{"prefix": "/a"}, {"regex": "/b"}]},
            (
                "RouteError",
                "PathMatchConditionsNotValid",
                "route: more than one prefix, exact or regex is not allowed in a condition block",
            ),
        ),
        (
            to("web")
            | {
                "conditions": [
                    {"header": {"name": "x", "present": True}},
                    {"header": {"name": "X", "notpresent": True}},
                ]
            },
            (
                "RouteError",
                "HeaderMatchConditionsNotValid",
                "cannot specify contradictory 'present' and 'notpresent' conditions for the same route and header",
            ),
        ),
        (
            to("web") | {"conditions": [{"queryParameter": {"name": "x", "exact": "a", "present": True}}]},
            (
                "RouteError",
                "QueryParameterMatchConditionsNotValid",
                "cannot specify more than one condition in the same match condition branch",
            ),
        ),
        (
            to("web", requestHeadersPolicy={"set": [{"name": "x", "value": "1"}, {"name": "X", "value": "2"}]}),
            ("RouteError", "RequestHeadersPolicyInvalid", 'duplicate header addition: "X" on request headers'),
        ),
        (
            to("web", responseHeadersPolicy={"set": [{"name": "Host", "value": "a.test"}]}),
            (
                "RouteError",
                "ResponseHeaderPolicyInvalid",
                'rewriting "Host" header is not supported on response headers',
            ),
        ),
        (
            to("web", timeoutPolicy={"response": "soon"}),
            (
                "RouteError",
                "TimeoutPolicyNotValid",
                (
                    "route.timeoutPolicy failed to parse: error parsing response timeout: unable to parse timeout string "
                    '"soon": time: invalid duration "soon"'
                ),
            ),
        ),
        (
            {"requestRedirectPolicy": {"path": "/a", "prefix": "/b"}},
            (
                "RouteError",
                "RequestRedirectPolicy",
                "route.requestRedirectPolicy is invalid: cannot specify both redirect path and redirect prefix",
            ),
        ),
        (
            to("web", healthCheckPolicy={"path": "/", "expectedStatuses": [{"start": 99, "end": 200}]}),
            (
                "RouteError",
                "HealthCheckPolicyInvalid",
                "invalid expected status range: start must be in the range [100, 599]",
            ),
        ),
        (
            to("web", pathRewritePolicy={"replacePrefix": [{"replacement": "/x"}]}) | {"conditions": [{"exact": "/a"}]},
            (
                "PrefixReplaceError",
                "MustHavePrefix",
                "cannot specify prefix replacements without a prefix condition",
            ),
        ),
        (
            to("web", pathRewritePolicy={"replacePrefix": [{"prefix": "/a", "replacement": "/x"}] * 2}),
            ("PrefixReplaceError", "DuplicateReplacement", "duplicate replacement prefix '/a'"),
        ),
        (
            to("web", pathRewritePolicy={"replacePrefix": [{"replacement": "/x"}, {"replacement": "/y"}]}),
            ("PrefixReplaceError", "AmbiguousReplacement", "ambiguous prefix replacement"),
        ),
    ],
)
def test_one_bad_route_drops_all_of_its_object(route: dict[str, Any], error: tuple[str, str, str]) -> None:
    world = World(
        *SERVICES,
        root("site", "shop.test", includes=[{"name": "child"}], routes=[to("web", "/good"), route]),
        proxy("child", routes=[to("web", "/child")]),
    )
    assert world.errors("site") == [error]
    assert world.verdict("child") == VALID
    assert world.routes("shop.test") == ()


def test_header_rules_hold_over_inherited_conditions() -> None:
    condition = {"header": {"name": "x", "exact": "a"}}
    world = World(
        *SERVICES,
        root("site", "shop.test", includes=[{"name": "child", "conditions": [condition]}]),
        proxy("child", routes=[to("web") | {"conditions": [condition]}]),
    )
    assert world.errors("child") == [
        (
            "RouteError",
            "HeaderMatchConditionsNotValid",
            "cannot specify duplicate header 'exact match' conditions in the same route",
        )
    ]


# --- services ------------------------------------------------------------------------------------------------------


def backend(**fields: Any) -> dict[str, Any]:
    return {"services": [{"name": "web", "port": 80, **fields}]}


@pytest.mark.parametrize(
    ("route", "error"),
    [
        (
            backend(port=0),
            ("ServiceError", "ServicePortInvalid", 'service "web": port must be in the range 1-65535'),
        ),
        (
            backend(port=65536),
            ("ServiceError", "ServicePortInvalid", 'service "web": port must be in the range 1-65535'),
        ),
        (backend(protocol="http"), ("ServiceError", "UnsupportedProtocol", "unsupported protocol: http")),
        (
            backend(requestHeadersPolicy={"set": [{"name": "a b", "value": "1"}]}),
            (
                "ServiceError",
                "RequestHeadersPolicyInvalid",
                f'invalid set header "a b": {HEADER_NAME} on request headers',
            ),
        ),
        (
            backend(responseHeadersPolicy={"remove": ["a", "A"]}),
            (
                "ServiceError",
                "ResponseHeadersPolicyInvalid",
                'duplicate header removal: "A" on response headers',
            ),
        ),
        (
            {"services": [{"name": "web", "port": 80}] + [{"name": "other", "port": 80, "mirror": True}] * 2},
            (
                "ServiceError",
                "OnlyOneMirror",
                "only one service per route may be nominated as mirror",
            ),
        ),
    ],
)
def test_one_bad_service_drops_all_routes_of_the_object(route: dict[str, Any], error: tuple[str, str, str]) -> None:
    world = World(*SERVICES, root("site", "shop.test", routes=[to("web", "/good"), route]))
    assert world.errors("site") == [error]
    assert world.routes("shop.test") == ()


@pytest.mark.parametrize(
    ("name", "port", "text"),
    [
        ("absent", 80, 'service "shop/absent" not found'),
        ("web", 81, 'port "81" on service "shop/web" not matched'),
        ("many", 53, 'unsupported service protocol "UDP"'),
    ],
)
def test_a_service_that_does_not_resolve_is_left_out(name: str, port: int, text: str) -> None:
    world = World(
        *SERVICES,
        root(
            "site",
            "shop.test",
            routes=[{"services": [{"name": name, "port": port}, {"name": "other", "port": 80}]}],
        ),
    )
    assert world.errors("site") == [
        ("ServiceError", "ServiceUnresolvedReference", f"Spec.Routes unresolved service reference: {text}")
    ]
    (route,) = world.routes("shop.test")
    assert [backend.cluster.service.service for backend in route.action.backends] == ["other"]  # type: ignore[union-attr]


def test_external_name_services_are_not_enabled() -> None:
    world = World(service("web", spec={"type": "ExternalName", "externalName": "a.test"}), root("site", "shop.test"))
    assert world.errors("site") == [
        (
            "ServiceError",
            "ServiceUnresolvedReference",
            (
                "Spec.Routes unresolved service reference: shop/web is an ExternalName service, these are not currently "
                "enabled. See the config.enableExternalNameService config file setting"
            ),
        )
    ]


CA_TEXT = "Service [web:80] TLS upstream validation policy error: "


@pytest.mark.parametrize(
    ("validation", "error"),
    [
        (
            {"caSecret": "vault/ca", "subjectName": "a.test"},
            (
                "TLSError",
                "CACertificateNotDelegated",
                (
                    'service.UpstreamValidation.CACertificate Secret "vault/ca" is not configured for '
                    "certificate delegation"
                ),
            ),
        ),
        (
            {"caSecret": "absent", "subjectName": "a.test"},
            ("ServiceError", "TLSUpstreamValidation", CA_TEXT + 'invalid CA Secret "shop/absent": Secret not found'),
        ),
        (
            {"caSecret": "empty", "subjectName": "a.test"},
            ("ServiceError", "TLSUpstreamValidation", CA_TEXT + 'invalid CA Secret "shop/empty": empty "ca.crt" key'),
        ),
        ({"caSecret": "ca"}, ("ServiceError", "TLSUpstreamValidation", CA_TEXT + "missing subject alternative name")),
        (
            {"caSecret": "ca", "subjectName": "a.test", "subjectNames": ["b.test"]},
            (
                "ServiceError",
                "TLSUpstreamValidation",
                CA_TEXT + "first entry of SubjectNames (b.test) does not match SubjectName (a.test)",
            ),
        ),
    ],
)
def test_upstream_validation(validation: dict[str, Any], error: tuple[str, str, str]) -> None:
    objects = (
        secret("ca", "Opaque", **{"ca.crt": AUTHORITY.certificate}),
        secret("vault/ca", "Opaque", **{"ca.crt": AUTHORITY.certificate}),
        secret("empty", "Opaque"),
    )
    assert route_errors(backend(validation=validation, protocol="tls"), objects=objects) == [error]
    assert route_errors(backend(validation=validation, protocol="h2"), objects=objects) == [error]
    # Without TLS to the upstream there is nothing to validate.
    assert route_errors(backend(validation=validation), objects=objects) == []
    assert route_errors(backend(validation=validation, protocol="h2c"), objects=objects) == []


def test_warnings_are_kept_apart_from_errors() -> None:
    policy = {"strategy": "RequestHash", "requestHashPolicies": [{"terminal": True}]}
    world = World(*SERVICES, root("site", "shop.test", routes=[to("web", loadBalancerPolicy=policy)]))
    verdict = world.verdict("site")
    assert verdict.valid
    assert verdict.warnings[-1] == Finding(
        "SpecError",
        "IgnoredField",
        "ignoring invalid request hash policy options, setting load balancer strategy to default RoundRobin",
    )


# --- several roots, several visits -----------------------------------------------------------------------------------


def test_an_error_from_one_root_wins_over_the_others() -> None:
    child = proxy("child", routes=[to("web") | {"conditions": [{"header": {"name": "x", "exact": "a"}}]}])
    contradiction = {"header": {"name": "x", "exact": "b"}}
    world = World(
        *SERVICES,
        child,
        root("a", "a.test", includes=[{"name": "child"}]),
        root("b", "b.test", includes=[{"name": "child", "conditions": [contradiction]}]),
        root("c", "c.test", includes=[{"name": "child"}]),
    )
    assert [reason for _, reason, _ in world.errors("child")] == ["HeaderMatchConditionsNotValid"]
    world.delete("HTTPProxy", "b")
    assert world.verdict("child") == VALID


def test_of_different_errors_that_of_the_oldest_root_shows() -> None:
    def including(name: str, created: str, operator: str) -> dict[str, Any]:
        condition = {"header": {"name": "x", operator: "a"}}
        return root(name, f"{name}.test", created, includes=[{"name": "child", "conditions": [condition]}])

    child = proxy("child", routes=[to("web") | {"conditions": [{"header": {"name": "x", "exact": "a"}}]}])
    duplicate = "cannot specify duplicate header 'exact match' conditions in the same route"
    contradiction = "cannot specify contradictory 'exact' and 'notexact' conditions for the same route and header"
    early, late = "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"
    world = World(*SERVICES, child, including("a", late, "exact"), including("b", early, "notexact"))
    assert [message for *_, message in world.errors("child")] == [contradiction]
    world.apply(including("b", late, "notexact"))  # of one age: by name
    assert [message for *_, message in world.errors("child")] == [duplicate]


def test_of_one_roots_visits_the_last_error_shows() -> None:
    def under(operator: str) -> dict[str, Any]:
        return {"name": "child", "conditions": [{"prefix": f"/{operator}"}, {"header": {"name": "x", operator: "a"}}]}

    child = proxy("child", routes=[to("web") | {"conditions": [{"header": {"name": "x", "exact": "a"}}]}])
    world = World(
        *SERVICES, child, root("site", "shop.test", includes=[under("exact"), under("notexact"), under("contains")])
    )
    assert [message for *_, message in world.errors("child")] == [
        "cannot specify contradictory 'exact' and 'notexact' conditions for the same route and header"
    ]
    assert world.verdict("site") == VALID


def test_proxies_of_another_class_are_not_there() -> None:
    other = {"ingressClassName": "other"}
    world = World(
        *SERVICES,
        root("site", "shop.test", includes=[{"name": "child"}]),
        proxy("child", routes=[to("web")], **other),
    )
    assert world.errors("site") == [("IncludeError", "IncludeNotFound", "include shop/child not found")]
    assert world.graph.proxies.get(("shop", "child")) is None  # type: ignore[arg-type]  # a Ref is a tuple
