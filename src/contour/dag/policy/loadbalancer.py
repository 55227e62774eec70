"""loadBalancerPolicy: the strategy, and what requests are hashed by (httpproxy.md §2.19, warnings §3.5)."""

from __future__ import annotations

import msgspec

from contour.api.projectcontour import LoadBalancerPolicy, RequestHashPolicy
from contour.api.scalars import HEADER_NAME_ERRORS, canonical_header, quote, valid_header_name
from contour.dag.graph import HashPolicy
from contour.dag.verdict import Finding

_KNOWN = frozenset({"WeightedLeastRequest", "Random", "Cookie", "RequestHash"})
_SESSION_COOKIE = HashPolicy(cookie="X-Contour-Session-Affinity", cookie_path="/")


class LoadBalancing(msgspec.Struct, frozen=True, gc=False):
    """`strategy`: "" is Envoy's round robin; see `Cluster.lb_policy` for the others."""

    strategy: str = ""
    hash_policies: tuple[HashPolicy, ...] = ()
    warnings: tuple[Finding, ...] = ()


DEFAULT = LoadBalancing()


def load_balancer(policy: LoadBalancerPolicy | None) -> LoadBalancing:
    """Never an error: what cannot be used is left out with a warning."""
    if policy is None or policy.strategy not in _KNOWN:
        return DEFAULT
    if policy.strategy == "Cookie":
        return LoadBalancing(strategy="Cookie", hash_policies=(_SESSION_COOKIE,))
    if policy.strategy == "RequestHash":
        return _request_hash(policy.request_hash_policies)
    return LoadBalancing(strategy=policy.strategy)


def _request_hash(entries: tuple[RequestHashPolicy, ...]) -> LoadBalancing:
    accepted: dict[tuple[str, str], HashPolicy] = {}  # by (kind, name): each may be hashed by once
    warnings: list[Finding] = []
    for entry in entries:
        hashed = _hash_policy(entry)
        if isinstance(hashed, str):
            warnings.append(_ignored(hashed))
            continue
        identity = (hashed.header, hashed.query_parameter)  # both empty: the source address
        if identity in accepted:
            warnings.append(_ignored(_duplicate(hashed)))
            continue
        accepted[identity] = hashed
    if not accepted:
        warnings.append(
            _ignored(
                "ignoring invalid request hash policy options, setting load balancer strategy to default RoundRobin"
            )
        )
        # The literal, not "": clusters get another name than those without a policy (§4.3).
        return LoadBalancing(strategy="RoundRobin", warnings=tuple(warnings))
    return LoadBalancing(strategy="RequestHash", hash_policies=tuple(accepted.values()), warnings=tuple(warnings))


def _hash_policy(entry: RequestHashPolicy) -> HashPolicy | str:
    header, query = entry.header_hash_options, entry.query_parameter_hash_options
    if (header is not None) + (query is not None) + entry.hash_source_ip != 1:
        return (
            "ignoring invalid request hash policy, must set exactly one of "
            "hashSourceIP or headerHashOptions or queryParameterHashOptions"
        )
    if header is not None:
        name = canonical_header(header.header_name)
        if not valid_header_name(name):
            return (
                "ignoring invalid header hash policy options with invalid header name "
                f"{quote(name)}: {HEADER_NAME_ERRORS}"
            )
        return HashPolicy(terminal=entry.terminal, header=name)
    if query is not None:
        parameter = query.parameter_name.lower()
        if not parameter:
            return "ignoring invalid query parameter hash policy options with an invalid empty query parameter name"
        return HashPolicy(terminal=entry.terminal, query_parameter=parameter)
    return HashPolicy(terminal=entry.terminal, source_ip=True)


def _duplicate(hashed: HashPolicy) -> str:
    if hashed.header:
        return f"ignoring invalid header hash policy options with duplicated header name {hashed.header}"
    if hashed.query_parameter:
        return (
            "ignoring invalid query parameter hash policy options "
            f"with duplicated query parameter name {hashed.query_parameter}"
        )
    return "ignoring invalid request hash policy, hashSourceIP specified multiple times"


def _ignored(message: str) -> Finding:
    return Finding("SpecError", "IgnoredField", message)
