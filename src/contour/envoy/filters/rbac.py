"""Access by client address: without rules the filter lets everything pass until a route or host brings some."""

from __future__ import annotations

from contour.dag import graph
from contour.envoy import pb

NAME = "envoy.filters.http.rbac"
_POLICY = "ip-rules"


def http_filter() -> pb.HttpFilter:
    return pb.HttpFilter(name=NAME, typed_config=pb.pack(pb.RBAC()))


def rules(address_filter: graph.AddressFilter) -> pb.Any:
    """Of a virtual host, or of a route instead (httpproxy.md §4.7)."""
    principals = [_principal(rule) for rule in address_filter.rules]
    policy = pb.Policy(permissions=[pb.Permission(any=True)], principals=principals)
    action = pb.RBACRules.ALLOW if address_filter.allow else pb.RBACRules.DENY
    return pb.pack(pb.RBACPerRoute(rbac=pb.RBAC(rules=pb.RBACRules(action=action, policies={_POLICY: policy}))))


def _principal(rule: graph.AddressRule) -> pb.Principal:
    addresses = pb.CidrRange(address_prefix=rule.address, prefix_len=pb.UInt32Value(value=rule.prefix_length))
    return pb.Principal(remote_ip=addresses) if rule.remote else pb.Principal(direct_remote_ip=addresses)
