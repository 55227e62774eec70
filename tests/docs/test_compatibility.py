"""What `docs/compatibility.md` decides about the reference's quirks is what happens: each row has a golden or a test."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest
from tests.dag.world import root

from contour.api.admission import admit
from contour.api.projectcontour import GlobalRateLimitPolicy, HTTPProxy
from contour.control.settings import Flags, load

ROOT = Path(__file__).parents[2]
SECTIONS = ("HTTPProxy", "Access", "Upstreams", "Ingress", "Configuration and commands")

# What a row begins with -> a folder of tests/golden, or a test.
PROOFS = {
    "an invalid route drops": "one-bad-route-drops-its-proxy",
    "`[{exact}, {header}]`": "path-conditions-merged-in-order",
    "the 502 of an include": "include-not-found-below-a-prefix",
    "a route with only a mirror": "mirror",
    "what is rewritten with and without": "path-rewrite-of-one-prefix-twice",
    '`["*", "x"]` in a delegation': "tls-certificate-delegation",
    "a root is `valid` although": "tcpproxy-not-valid",
    "an include of another class": "include-of-another-class",
    "a child under two roots": "one-child-of-two-roots",
    "typos in reasons": "ip-filters-not-valid",
    "`description` says": "orphans",
    "`%CONTOUR_SERVICE_NAME%`": "header-policy-escaping",
    "the default of `healthCheckPolicy": "tests/envoy/test_cluster.py::test_http_health_check_with_defaults",
    "below a wildcard only names": "tests/traffic/test_scoped_http.py::test_websocket",
    "the last entry of an address list": "ip-filters-not-valid",
    "a range of IPv4 addresses": "tests/traffic/test_policies_access.py::test_addresses",
    "`permitInsecure` routes ask": "tests/traffic/test_policies_jwt.py::test_over_plain_http_nobody_asks",
    "a route that requires an undefined": "jwt-provider-not-defined",
    "key sets of one scheme": "tests/traffic/test_policies_jwt.py::test_one_tenant_s_server_is_not_another_one_s",
    "over connections that are open when keys": "tests/traffic/test_policies_jwt.py::test_connections_that_are_held",
    "a key set, or the URI of one": "jwt-servers-that-envoy-refuses",
    "`remoteJWKS.uri` may": "tests/dag/policy/test_jwt.py::test_a_server_on_envoy_s_own_machine",
    "a host that checks clients": "tests/traffic/test_tls_clients.py::test_nobody_is_checked_against_nothing",
    "`crlSecret` without `caSecret`": "client-certificates-not-valid",
    "without `caSecret` a certificate": "tests/traffic/test_tls_clients.py::test_who_may_connect",
    "over the fallback certificate": "tests/traffic/test_tls_fallback.py::test_wildcard_hosts",
    "TLS passthrough without": "passthrough-without-tcpproxy",
    "an ExternalName is refused": "external-names-of-this-machine",
    "a root that passes TLS through": "authorization-behind-passthrough",
    "`globalExtAuth` holds for Ingress": "tests/traffic/test_authorization_global.py::test_it_is_asked_for_all_hosts",
    "a server of `globalExtAuth` may": "tests/traffic/test_authorization_global.py::"
    "test_it_neither_sees_nor_chooses_the_scope_nor_the_host",
    "`globalExtAuth` with a path": "authorization-that-envoy-refuses",
    "`expectMatch` is true": "tests/docs/test_compatibility.py::test_expect_match",
    "weights of an ExtensionService": "extension-services",
    "`retryPolicy.count` of": "retries",
    "`globalExtAuth`, `rateLimitService` and `tracing`": "authorization-of-configuration-not-found",
    "`rateLimitPolicy: {local": "rate-limits-of-configuration",
    "the answer to a request for another": "tests/traffic/test_policies_classic.py::test_misdirected_http2",
    "the check of the host": "tests/traffic/test_policies_cookies.py::test_the_check_of_the_host_holds_on_routes_with_rules",
    "the chain of the fallback": "fallback-certificate",
    "names of clusters are cut": "tests/envoy/test_scoped.py::test_no_service_takes_the_name_of_another_tenant_s_cluster",
    "clusters of one name": "clusters-of-one-name",
    "clusters of TCP proxying": "clusters-of-one-name",
    "ExtensionServices are without": "upstream-tls-settings",
    "Envoy's client certificate is not sent": "extension-services-client-certificate",
    "an edit of a Service that only": "tests/dag/test_extension.py::test_it_follows_its_services_and_secrets",
    "a backend that names a `resource`": "ingress-problems",
    "`tls-minimum-protocol-version` above": "ingress-tls-versions",
    "honoured annotations": "tests/api/test_annotations.py::"
    "test_an_annotation_addressed_to_us_that_has_no_effect_is_told",
    "`%CONTOUR_SERVICE_PORT%` is 0": "default-headers",
    "`cluster.dns-lookup-family`": "cluster-settings",
    "two Ingresses": "ingresses-of-one-host",
    "problems stand in the log": "tests/cluster/test_serve.py::test_an_orphan_and_an_ingress_that_leads_nowhere",
    "the address of the load balancer": "tests/status/test_conditions.py::test_no_address_leaves_the_old_one",
    "zero in the configuration file": "tests/docs/test_compatibility.py::test_zero_overrides_nothing",
    "`metrics` in the file": "tests/docs/test_compatibility.py::test_metrics_in_the_file_are_stronger_than_flags",
    "keys of structures": "tests/docs/test_compatibility.py::test_both_spellings",
    "`timeouts.connection-idle-timeout`": "tests/control/test_settings.py::test_nothing_given_is_the_reference_defaults",
    "`rateLimitService.domain`": "tests/control/test_settings_services.py::test_a_rate_limit_service_has_a_domain",
    "a sampling of 0": "tests/docs/test_compatibility.py::test_a_sampling_of_nothing_is_all",
    "the first bad key": "tests/control/test_settings_messages.py::test_every_bad_key_is_named",
    "`serverHeaderTransformation`": "tests/control/test_settings.py::test_what_is_not_checked",
    "`featureFlags`": "tests/control/test_settings.py::test_what_is_not_checked",
    "formats of logs": "tests/control/test_settings_messages.py::test_what_envoy_would_refuse",
    "`listener.socket-options": "tests/envoy/test_settings_of_listeners.py::test_a_socket_of_ipv4_has_no_traffic_class",
    "`globalExtAuth.responseTimeout`": "authorization-of-configuration",
    "`runtime-settings` may": "tests/docs/test_compatibility.py::test_limits_of_expressions_may_be_replaced",
    "with `--root-namespaces`": "tests/store/test_store.py::test_secrets_of_other_namespaces_are_kept_out",
    "`version` prints": "tests/cli/test_main.py::test_version_goes_to_stderr_as_yaml",
    "`cli sds` uses": "tests/xds/test_server.py::test_the_type_in_the_request_wins",
}


@cache
def rows() -> tuple[str, ...]:
    """What is said of the reference, in the sections that are about its quirks."""
    found, section = [], ""
    for line in (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            section = line.lstrip("# ")
        elif section in SECTIONS and line.startswith("| ") and not line.startswith("| reference"):
            found.append(line.removeprefix("| ").partition(" | ")[0])
    return tuple(found)


def test_every_quirk_is_shown_somewhere() -> None:
    assert len(rows()) >= len(PROOFS)
    assert [row for row in rows() if not any(row.startswith(start) for start in PROOFS)] == []
    assert [start for start in PROOFS if not any(row.startswith(start) for row in rows())] == []


@pytest.mark.parametrize("proof", sorted(set(PROOFS.values())))
def test_what_shows_it_is_there(proof: str) -> None:
    file, _, name = proof.partition("::")
    if name:
        assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    else:
        assert (ROOT / "tests" / "golden" / proof / "in.yaml").exists()


def test_zero_overrides_nothing() -> None:
    assert load("network: {admin-port: 0}").envoy.admin_port == load("").envoy.admin_port == 9001


def test_metrics_in_the_file_are_stronger_than_flags() -> None:
    settings = load("metrics: {contour: {port: 7001}, envoy: {port: 7002}}", Flags(http_port=8001, stats_port=8002))
    assert (settings.metrics.port, settings.envoy.stats_port) == (7001, 7002)


@pytest.mark.parametrize("key", ["allowedUpstreamHeaders", "allowedupstreamheaders"])
def test_both_spellings(key: str) -> None:
    auth = load(f"globalExtAuth: {{extensionService: a/b, serviceType: http, httpSettings: {{{key}: [{{exact: x}}]}}}}")
    given = auth.graph.authorization
    assert given is not None
    assert given.http_settings is not None
    assert [one.exact for one in given.http_settings.allowed_upstream_headers] == ["x"]


def test_a_sampling_of_nothing_is_all() -> None:
    tracing = load('tracing: {extensionService: a/b, overallSampling: "0"}').envoy.tracing
    assert tracing is not None
    assert tracing.overall_sampling == 100


def test_expect_match() -> None:
    entry = {"requestHeaderValueMatch": {"value": "v", "headers": [{"name": "x-a", "present": True}]}}
    policy = {"descriptors": [{"entries": [entry]}]}
    settings = load(
        json.dumps({"rateLimitService": {"extensionService": "a/b", "defaultGlobalRateLimitPolicy": policy}})
    )
    service = settings.graph.rate_limit_service
    admitted = admit(root("site", "site.test", virtualhost={"rateLimitPolicy": {"global": policy}}))
    assert isinstance(admitted, HTTPProxy)
    assert admitted.spec.virtualhost is not None
    limits = admitted.spec.virtualhost.rate_limit_policy
    assert [_expected(limits and limits.global_), _expected(service and service.default_policy)] == [True, False]


def _expected(policy: GlobalRateLimitPolicy | None) -> bool:
    assert policy is not None
    match = policy.descriptors[0].entries[0].request_header_value_match
    assert match is not None
    return match.expect_match


def test_limits_of_expressions_may_be_replaced() -> None:
    settings = load('runtime-settings: {re2.max_program_size.error_level: "5"}')
    assert dict(settings.envoy.runtime_settings) == {"re2.max_program_size.error_level": "5"}
