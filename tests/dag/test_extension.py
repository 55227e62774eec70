"""ExtensionService: what its cluster is made from, and each thing that can be wrong with it (httpproxy.md §2.22, §3.6)."""

from __future__ import annotations

import pytest
from tests.dag.world import AUTHORITY, Mapping, World, delegation, extension, root, secret, service, serving

from contour.api.meta import Ref
from contour.dag.graph import CircuitBreakers, Extension, ExtensionCluster, ExtensionTarget, ServicePort
from contour.dag.verdict import Finding

CA = {"ca.crt": AUTHORITY.certificate}


def found(world: World, name: str = "auth") -> Extension:
    one = world.graph.extensions.get(Ref("shop", name))
    assert one is not None
    return one


def cluster(*objects: Mapping) -> ExtensionCluster:
    one = found(World(service(), *objects))
    assert one.cluster is not None, one.verdict
    return one.cluster


def test_defaults() -> None:
    assert cluster(extension("auth")) == ExtensionCluster(
        Ref("shop", "auth"), (ExtensionTarget(ServicePort("shop", "web", 80, "http")),)
    )


def test_everything_that_it_says() -> None:
    one = cluster(
        service("other", {"port": 9000}),
        secret("ca", "Opaque", **CA),
        extension(
            "auth",
            {"name": "web", "port": 80, "weight": 3},
            {"name": "other", "port": 9000, "weight": 1},
            validation={"caSecret": "ca", "subjectName": "a.test", "subjectNames": ["a.test", "b.test"]},
            loadBalancerPolicy={"strategy": "WeightedLeastRequest"},
            timeoutPolicy={"response": "2s", "idleConnection": "infinity"},
            circuitBreakerPolicy={"maxConnections": 7, "perHostMaxConnections": 2},
        ),
    )
    assert [(target.port.service, target.weight) for target in one.targets] == [("web", 3), ("other", 1)]
    assert (one.sni, one.protocol, one.lb_policy) == ("a.test", "h2", "WeightedLeastRequest")
    assert one.validation is not None
    assert one.validation.subject_names == ("a.test", "b.test")
    assert one.idle_timeout == 0
    assert one.circuit_breakers == CircuitBreakers(max_connections=7, per_host_max_connections=2)


def test_a_policy_replaces_the_limits_of_the_settings() -> None:
    default = CircuitBreakers(max_connections=1, max_requests=2)

    def limits(**spec: Mapping) -> CircuitBreakers:
        one = found(World(service(), extension("auth", **spec), circuit_breakers=default)).cluster
        assert one is not None
        return one.circuit_breakers

    assert limits() == default
    assert limits(circuitBreakerPolicy={}) == CircuitBreakers()
    assert limits(circuitBreakerPolicy={"maxRequests": 3}) == CircuitBreakers(max_requests=3)


def test_the_certificate_that_envoy_shows_must_be_there() -> None:
    world = World(service(), extension("auth"), client_certificate=Ref("vault", "client"))
    message = 'tls.envoy-client-certificate Secret "vault/client" is invalid: Secret not found'
    assert found(world).verdict.errors == (Finding("TLSError", "SecretNotValid", message),)
    world.apply(serving("vault/client"))
    assert found(world).verdict.valid


@pytest.mark.parametrize("strategy", ["RoundRobin", "no such"])
def test_a_strategy_that_is_none_is_round_robin_without_a_word(strategy: str) -> None:
    world = World(service(), extension("auth", loadBalancerPolicy={"strategy": strategy}))
    assert found(world).verdict.warnings == ()
    assert cluster(extension("auth", loadBalancerPolicy={"strategy": strategy})).lb_policy == ""


ROWS = [
    (
        {"timeoutPolicy": {"response": "h"}},
        "SpecError",
        "TimeoutPolicyNotValid",
        (
            'spec.timeoutPolicy failed to parse: error parsing response timeout: unable to parse timeout string "h": '
            'time: invalid duration "h"'
        ),
    ),
    (
        {"validation": {"caSecret": "vault/ca", "subjectName": "a"}},
        "TLSError",
        "CACertificateNotDelegated",
        'service.UpstreamValidation.CACertificate Secret "vault/ca" is not configured for certificate delegation',
    ),
    (
        {"validation": {"caSecret": "none", "subjectName": "a"}},
        "SpecError",
        "TLSUpstreamValidation",
        'TLS upstream validation policy error: invalid CA Secret "shop/none": Secret not found',
    ),
    (
        {"validation": {"caSecret": "ca", "subjectName": "a"}, "protocol": "h2c"},
        "SpecError",
        "InconsistentProtocol",
        'upstream TLS validation not supported for "h2c" protocol',
    ),
    (
        {"services": [{"name": "none", "port": 80}]},
        "ServiceError",
        "ServiceUnresolvedReference",
        'unresolved service "shop/none": service "shop/none" not found',
    ),
    (
        {"services": [{"name": "web", "port": 81}]},
        "ServiceError",
        "ServiceUnresolvedReference",
        'unresolved service "shop/web": port "81" on service "shop/web" not matched',
    ),
    (
        {"services": [{"name": "named", "port": 80}]},
        "ServiceError",
        "UnsupportedServiceType",
        'Service "shop/named" is of unsupported type "ExternalName".',
    ),
]


@pytest.mark.parametrize(("spec", "kind", "reason", "message"), ROWS, ids=[row[2] for row in ROWS])
def test_each_error(spec: Mapping, kind: str, reason: str, message: str) -> None:
    named = service("named", spec={"type": "ExternalName", "externalName": "a.test"})
    one = found(World(service(), named, secret("ca", "Opaque", **CA), extension("auth", **spec)))
    assert one.verdict.errors == (Finding(kind, reason, message),)
    assert one.cluster is None


def test_a_service_of_another_type_that_says_an_external_name_is_refused_too() -> None:
    world = World(service(spec={"type": "ClusterIP", "externalName": "a.test"}), extension("auth"))
    assert [error.reason for error in found(world).verdict.errors] == ["UnsupportedServiceType"]


@pytest.mark.parametrize("strategy", ["Cookie", "RequestHash"])
def test_what_is_ignored(strategy: str) -> None:
    spec = {"loadBalancerPolicy": {"strategy": strategy}, "timeoutPolicy": {"idle": "1s"}}
    one = found(World(service(), extension("auth", **spec)))
    assert [warning.message for warning in one.verdict.warnings] == [
        (
            f'ignoring field ".Spec.LoadBalancerPolicy"; {strategy} load balancer policy is not supported for '
            "ExtensionClusters"
        ),
        'ignoring field ".Spec.TimeoutPolicy.Idle"; idle timeouts are not supported for ExtensionClusters',
    ]
    assert {(warning.type, warning.reason) for warning in one.verdict.warnings} == {("SpecError", "IgnoredField")}
    assert one.cluster is not None
    assert (one.cluster.lb_policy, one.cluster.idle_timeout) == ("", None)


def test_errors_are_gathered_but_a_bad_authority_ends_the_check() -> None:
    spec = {"timeoutPolicy": {"response": "h"}, "services": [{"name": "none", "port": 80}]}
    world = World(extension("auth", **spec))
    assert [error.reason for error in found(world).verdict.errors] == [
        "TimeoutPolicyNotValid",
        "ServiceUnresolvedReference",
    ]
    world.apply(extension("auth", **spec, validation={"caSecret": "none", "subjectName": "a"}))
    assert [error.reason for error in found(world).verdict.errors] == ["TimeoutPolicyNotValid", "TLSUpstreamValidation"]


def test_it_follows_its_services_and_secrets() -> None:
    world = World(
        extension("auth", validation={"caSecret": "vault/ca", "subjectName": "a"}),
        secret("vault/ca", "Opaque", **CA),
    )
    assert found(world).cluster is None
    world.apply(delegation("vault/grant", "ca", "shop"))
    assert [error.reason for error in found(world).verdict.errors] == ["ServiceUnresolvedReference"]
    world.apply(service())
    assert found(world).cluster is not None
    world.delete("Service", "web")
    assert found(world).cluster is None


def test_a_delegation_is_followed_by_the_hosts_that_ask_the_service() -> None:
    """In one commit: what hosts read of an ExtensionService is settled after what that reads."""
    virtualhost = {"tls": {"secretName": "cert"}, "authorization": {"extensionRef": {"name": "auth"}}}
    world = World(
        service(),
        serving("cert"),
        secret("vault/ca", "Opaque", **CA),
        extension("auth", validation={"caSecret": "vault/ca", "subjectName": "a"}),
        root("site", "shop.test", virtualhost=virtualhost),
    )
    for _ in range(2):
        assert [reason for _, reason, _ in world.errors("site")] == ["ExtensionServiceNotFound"]
        world.apply(delegation("vault/grant", "ca", "shop"))
        assert world.errors("site") == []
        world.delete("TLSCertificateDelegation", "vault/grant")
