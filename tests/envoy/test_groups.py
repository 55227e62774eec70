"""Who answers for which server name (envoy.md §2): groups, wildcard names, 421 scopes, and what an edit touches."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.dag.world import AUTHORITY, Mapping, ingress, root, secret, service, serving
from tests.envoy.site import Site

from contour.api.meta import Ref
from contour.dag.graph import Authorization, ClientValidation, JwtProvider, LocalKeys
from contour.envoy import pb
from contour.envoy.groups import Group
from contour.envoy.options import Options
from contour.envoy.resource import LISTENER, SCOPED_ROUTE, SECRET
from contour.testing import envoy, static
from contour.testing.certs import Pair

LOOK = "contour.scope"


def host(fqdn: str, secret_name: str, created: str = "", name: str = "", **tls: str) -> Mapping:
    """A root with TLS; in the namespace of `name`, `shop` by default."""
    return root(
        name or fqdn.replace("*", "any"), fqdn, created, virtualhost={"tls": {"secretName": secret_name, **tls}}
    )


def site(*objects: Mapping, options: Options | None = None) -> Site:
    return Site(service(), service("other/web"), *objects, options=options)


def filters(chain: pb.FilterChain) -> list[str]:
    manager = pb.HttpConnectionManager.FromString(chain.filters[0].typed_config.value)
    return [one.name for one in manager.http_filters]


def statuses(site: Site, scope: str) -> dict[str, int]:
    """Status of the direct answers of a scope, by domain."""
    return {
        domain: one.routes[0].direct_response.status
        for one in site.scope(scope).virtual_hosts
        for domain in one.domains
        if one.routes[0].HasField("direct_response")
    }


# --- groups ---------------------------------------------------------------------------------------------------------


def test_a_group_s_name_is_readable_and_fits_into_a_key() -> None:
    name = Group(Ref("shop", "tls"), "1.2", "1.3").name
    assert name.startswith("shop.tls.")
    assert name.count(".") == 2
    odd = Group(Ref("a:b", "%C/d"), "1.2", "1.3").name
    assert not set(odd) & set(":/%ABC")
    different = {
        Group(Ref("a", "b.c"), "1.2", "1.3").name,
        Group(Ref("a.b", "c"), "1.2", "1.3").name,
        Group(Ref("a", "b.c"), "1.3", "1.3").name,
        Group(Ref("a", "b.c"), "1.2", "1.2").name,
    }
    assert len(different) == 4


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("client_validation", ClientValidation(optional=True)),
        ("jwt_providers", (JwtProvider("a", LocalKeys(Ref("shop", "keys"), "jwks")),)),
        ("key_sets", ("0123456789abcdef",)),
        ("cookie_rewrites", True),
        ("authorization", Authorization(Ref("shop", "auth"))),
        ("tcp", "db.test"),
        ("fallback", True),
    ],
)
def test_a_group_s_name_covers_every_field(field: str, value: object) -> None:
    plain = Group(Ref("shop", "tls"), "1.2", "1.3")
    names = [plain._replace(**{field: value}).name, plain.name]
    assert len(set(names)) == len(names)
    assert plain._replace(**{field: Group._field_defaults[field]}).name == plain.name


def test_the_fields_of_a_group_are_tried_above() -> None:
    (mark,) = test_a_group_s_name_covers_every_field.pytestmark  # type: ignore[attr-defined]
    assert {field for field, _ in mark.args[1]} == set(Group._field_defaults)


def test_a_group_s_name_does_not_change_between_releases() -> None:
    """It is in scope keys and names of filter chains: another name closes every connection."""
    assert Group(Ref("shop", "tls"), "1.2", "1.3").name == "shop.tls.b0e511b87b"


def test_hosts_behind_one_wildcard_certificate_share_a_chain() -> None:
    s = site(serving("wild", "*.shop.test"), host("a.shop.test", "wild"), host("b.shop.test", "wild"))
    assert s.served_by() == {"*.shop.test": "shop.wild"}
    group = Group(Ref("shop", "wild"), "1.2", "1.3").name
    assert s.chains()["*.shop.test"].name == f"{group}/*.shop.test"
    assert {f"{group}/a.shop.test", f"{group}/b.shop.test"} <= s.names(SCOPED_ROUTE)


def test_different_tls_versions_are_different_groups() -> None:
    s = site(
        serving("wild", "*.shop.test"),
        host("a.shop.test", "wild", "2020-01-01T00:00:00Z"),
        host("b.shop.test", "wild", "2021-01-01T00:00:00Z", minimumProtocolVersion="1.3"),
    )
    assert s.chains().keys() == {"*.shop.test", "b.shop.test"}
    assert s.chains()["*.shop.test"].name != s.chains()["b.shop.test"].name


def test_versions_count_as_the_settings_narrow_them() -> None:
    objects = (
        serving("wild", "*.shop.test"),
        host("a.shop.test", "wild"),
        host("b.shop.test", "wild", minimumProtocolVersion="1.3"),
    )
    assert len(site(*objects, options=Options(min_tls="1.3")).chains()) == 1
    assert len(site(*objects).chains()) == 2


# --- server names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listed", "fqdn", "server_name"),
    [
        ("*.shop.test", "a.shop.test", "*.shop.test"),
        ("*.SHOP.test", "a.shop.test", "*.shop.test"),
        ("*.shop.test", "a.b.shop.test", "a.b.shop.test"),  # one label (RFC 6125)
        ("*.shop.test", "shop.test", "shop.test"),
        ("a.shop.test", "a.shop.test", "a.shop.test"),
        ("other.test", "a.shop.test", "a.shop.test"),  # the reference does not look at names either
        ("w*.shop.test", "www.shop.test", "www.shop.test"),  # Envoy refuses the listener for such a name
        ("*.test", "shop.test", "*.test"),
    ],
)
def test_the_name_of_a_host_s_chain(listed: str, fqdn: str, server_name: str) -> None:
    s = site(serving("tls", listed), host(fqdn, "tls"))
    assert s.chains().keys() == {server_name}


def test_a_name_is_never_served_only_because_a_certificate_lists_it() -> None:
    s = site(serving("evil", "evil.test", "bank.test", "*.bank.test"), host("evil.test", "evil"))
    assert s.chains().keys() == {"evil.test"}


def test_a_configured_wildcard_is_a_server_name_of_its_own() -> None:
    s = site(serving("one", "one.test"), host("*.shop.test", "one"))
    assert s.chains().keys() == {"*.shop.test"}


@pytest.mark.parametrize("name", ["w*.shop.test", "*shop.test", "a.*.test"])
def test_a_name_that_would_take_the_listener_down_has_no_chain(name: str) -> None:
    s = site(serving("one", "one.test"), ingress("odd", name, tls="one"), host("one.test", "one"))
    assert s.chains().keys() == {"one.test"}
    assert envoy.validate(static.static_config(s.state())) is None


def test_the_any_host_is_not_served_over_tls() -> None:
    s = site(serving("one", "one.test"), ingress("any", "*", tls="one"))
    assert s.chains() == {}


def test_a_wildcard_belongs_to_the_group_that_configures_it_however_young() -> None:
    s = site(
        serving("old", "*.shop.test"),
        serving("new", "*.shop.test"),
        host("a.shop.test", "old", "2020-01-01T00:00:00Z"),
        host("*.shop.test", "new", "2024-01-01T00:00:00Z"),
    )
    assert s.served_by() == {"*.shop.test": "shop.new", "a.shop.test": "shop.old"}


def test_else_to_the_group_with_the_oldest_root() -> None:
    objects = [
        serving("old", "*.shop.test"),
        serving("new", "*.shop.test"),
        host("a.shop.test", "old", "2020-01-01T08:00:00Z"),
        host("b.shop.test", "new", "2020-01-01T09:00:00Z"),
        host("c.shop.test", "new", "2021-01-01T00:00:00Z"),
    ]
    s = site(*objects)
    assert s.served_by() == {"*.shop.test": "shop.old", "b.shop.test": "shop.new", "c.shop.test": "shop.new"}
    s.delete("HTTPProxy", "a.shop.test")
    assert s.served_by() == {"*.shop.test": "shop.new"}
    s.apply(objects[2])
    assert s.served_by() == {"*.shop.test": "shop.old", "b.shop.test": "shop.new", "c.shop.test": "shop.new"}


def test_an_exact_host_never_loses_its_name_to_a_foreign_wildcard() -> None:
    """A tenant's self-signed `*.test` covers its own host only."""
    s = site(
        serving("evil", "*.test"),
        serving("bank", "bank.test"),
        host("evil.test", "evil", "2020-01-01T00:00:00Z"),
        host("bank.test", "bank", "2024-01-01T00:00:00Z"),
    )
    assert s.served_by() == {"*.test": "shop.evil", "bank.test": "shop.bank"}


# --- scopes of hosts that live elsewhere ----------------------------------------------------------------------------


def test_chains_that_may_hold_a_host_s_connections_answer_421() -> None:
    s = site(
        serving("wild", "*.shop.test"),
        serving("own", "b.shop.test", "deep.b.shop.test"),
        host("*.shop.test", "wild"),
        host("b.shop.test", "own"),
        host("deep.b.shop.test", "own"),  # Envoy's `*.shop.test` takes any number of labels
    )
    (wild,) = {name.partition("/")[0] for name in s.names(SCOPED_ROUTE) if name.startswith("shop.wild")}
    (own,) = {name.partition("/")[0] for name in s.names(SCOPED_ROUTE) if name.startswith("shop.own")}
    assert {name for name in s.names(SCOPED_ROUTE) if not name.startswith("http/")} == {
        f"{wild}/*", f"{wild}/b.shop.test", f"{wild}/deep.b.shop.test", f"{own}/b.shop.test", f"{own}/deep.b.shop.test",
    }  # fmt: skip
    assert statuses(s, f"{wild}/b.shop.test") == {"*": 421}
    assert statuses(s, f"{own}/b.shop.test") == {"*": 421}  # beside the host itself
    assert statuses(s, f"{wild}/*") == {"*": 421}


def test_a_wildcard_below_another_group_s_wildcard_is_421_there() -> None:
    s = site(
        serving("outer", "*.test"),
        serving("inner", "*.shop.test"),
        host("*.test", "outer"),
        host("*.shop.test", "inner"),
    )
    (outer,) = {name for name in s.names(SCOPED_ROUTE) if name.startswith("shop.outer")}
    assert statuses(s, outer) == {"*.shop.test": 421, "*": 421}


def test_a_host_that_moves_to_another_group_leaves_a_421() -> None:
    s = site(serving("wild", "*.shop.test"), host("a.shop.test", "wild", "2020"), host("b.shop.test", "wild", "2021"))
    before = s.chains()["*.shop.test"].SerializeToString()
    group = Group(Ref("shop", "wild"), "1.2", "1.3").name
    assert statuses(s, f"{group}/b.shop.test") == {"*": 421}
    assert len(s.scope(f"{group}/b.shop.test").virtual_hosts) == 2
    s.apply(host("b.shop.test", "wild", "2021", minimumProtocolVersion="1.3"))
    assert [one.name for one in s.scope(f"{group}/b.shop.test").virtual_hosts] == ["misdirected"]
    assert s.chains().keys() == {"*.shop.test", "b.shop.test"}
    assert s.chains()["*.shop.test"].SerializeToString() == before


# --- the second look ------------------------------------------------------------------------------------------------


def test_lua_only_where_wildcard_hosts_are_served() -> None:
    s = site(
        serving("wild", "*.shop.test", "*.eu.shop.test"),
        host("*.shop.test", "wild"),
        host("a.eu.shop.test", "wild"),
        host("plain.test", "wild"),
    )
    looks = {name: filters(chain)[0] == LOOK for name, chain in s.chains().items()}
    assert looks == {"*.shop.test": True, "*.eu.shop.test": False, "plain.test": False}


# --- what an edit touches -------------------------------------------------------------------------------------------


def test_adding_a_host_behind_a_wildcard_touches_no_listener() -> None:
    objects = [host(f"h{i}.shop.test", "wild", f"2020-01-{i:02}") for i in range(1, 20)]
    s = site(serving("wild", "*.shop.test"), *objects)
    group = Group(Ref("shop", "wild"), "1.2", "1.3").name
    s.apply(host("new.shop.test", "wild", "2024"))
    assert s.changed(LISTENER) == (set(), set())
    assert s.changed(SCOPED_ROUTE) == ({f"{group}/new.shop.test", "http/new.shop.test"}, set())
    runs = s.engine.runs
    s.apply(host("newer.shop.test", "wild", "2024"))
    few = s.engine.runs - runs
    s.apply(*(host(f"more{i}.shop.test", "wild", "2022") for i in range(100)))
    runs = s.engine.runs
    s.apply(host("newest.shop.test", "wild", "2024"))
    assert s.engine.runs - runs == few


def test_a_contested_name_costs_little_too() -> None:
    s = site(
        serving("wild", "*.shop.test"),
        serving("evil", "*.shop.test"),
        host("evil.shop.test", "evil", "2023"),
        *(host(f"h{i}.shop.test", "wild", f"2020-01-01T00:00:{i % 60:02}Z") for i in range(100)),
    )
    runs = s.engine.runs
    s.apply(host("new.shop.test", "wild", "2024"))
    assert s.engine.runs - runs < 40
    assert s.changed(LISTENER) == (set(), set())


def test_rotation_touches_the_secret_alone() -> None:
    s = site(serving("wild", "*.shop.test"), *(host(f"h{i}.shop.test", "wild") for i in range(50)))
    runs = s.engine.runs
    s.apply(serving("wild", "*.shop.test"))
    assert s.changed(SECRET) == ({"shop/wild"}, set())
    assert s.changed(LISTENER) == s.changed(SCOPED_ROUTE) == (set(), set())
    assert s.engine.runs - runs < 10


def test_a_certificate_without_the_name_gives_it_up() -> None:
    s = site(serving("wild", "*.shop.test"), host("a.shop.test", "wild"), host("b.shop.test", "wild"))
    s.apply(serving("wild", "a.shop.test"))
    assert s.chains().keys() == {"a.shop.test", "b.shop.test"}
    s.apply(serving("wild", "*.shop.test"))
    assert s.chains().keys() == {"*.shop.test"}


def test_routes_touch_no_listener() -> None:
    s = site(serving("wild", "*.shop.test"), host("a.shop.test", "wild"), root("p", "plain.test"))
    s.apply(root("p", "plain.test", routes=[{"directResponsePolicy": {"statusCode": 200}}]))
    assert s.changed(LISTENER) == (set(), set())
    assert s.changed(SCOPED_ROUTE) == ({"http/plain.test"}, set())


# --- secrets that Envoy refuses -------------------------------------------------------------------------------------


def mismatched(name: str, *names: str) -> Mapping:
    return pair(name, Pair(AUTHORITY.sign(*names).certificate, AUTHORITY.sign(*names).private_key))


def pair(name: str, keys: Pair) -> Mapping:
    return secret(name, **{"tls.crt": keys.certificate, "tls.key": keys.private_key})


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (mismatched("bad", "bad.test"), "key does not match"),
        (pair("bad", AUTHORITY.sign("bad.test", key="rsa-1024")), "1024 bits"),
    ],
)
def test_a_secret_that_envoy_refuses_is_withheld_and_its_chain_stays(bad: Mapping, text: str) -> None:
    s = site(serving("good"), bad, host("good.test", "good"), host("bad.test", "bad"))
    assert s.chains().keys() == {"good.test", "bad.test"}
    assert s.names(SECRET) == {"shop/good"}
    (withheld,) = s.withheld(SECRET).values()
    assert withheld.reason.startswith("Secret shop/bad: ")
    assert text in withheld.reason
    assert [one.name for one in withheld.objects] == ["bad.test"]
    s.apply(serving("bad", "bad.test"))
    assert s.changed(LISTENER) == (set(), set())
    assert not s.withheld(SECRET)


# --- any state ------------------------------------------------------------------------------------------------------

_SUFFIXES = ("test", "shop.test", "eu.shop.test")
_HOSTS = st.sampled_from(
    [f"{label}.{suffix}" for label in ("a", "b", "*") for suffix in _SUFFIXES if label != "*" or suffix != "test"]
)
_NAMES = st.sampled_from([f"{label}.{suffix}" for label in ("a", "*") for suffix in _SUFFIXES])
_SECRETS = ("one", "two", "three")
_DAYS = st.integers(1, 9).map(lambda day: f"2020-01-{day:02}T00:00:00Z")
_CERTIFICATES: dict[tuple[str, tuple[str, ...]], Mapping] = {}


def _serving(name: str, names: tuple[str, ...]) -> Mapping:
    return _CERTIFICATES.setdefault((name, names), serving(name, *names))


_EVENTS = st.one_of(
    st.builds(
        lambda fqdn, name, day, version: host(fqdn, name, day, minimumProtocolVersion=version),
        _HOSTS, st.sampled_from(_SECRETS), _DAYS, st.sampled_from(["1.2", "1.3"]),
    ),
    st.builds(
        lambda name, names: _serving(name, tuple(sorted(names))),
        st.sampled_from(_SECRETS), st.sets(_NAMES, min_size=1, max_size=3),
    ),
    _HOSTS.map(lambda fqdn: ("HTTPProxy", fqdn.replace("*", "any"))),
)  # fmt: skip


def accepting(server_names: set[str], sni: str) -> str | None:
    """Which filter chain Envoy chooses: the exact name, else the longest suffix."""
    if sni in server_names:
        return sni
    return next((name for name in suffixes(sni) if name in server_names), None)


def suffixes(sni: str) -> Iterator[str]:
    rest = sni
    while "." in rest:
        rest = rest.partition(".")[2]
        yield f"*.{rest}"


@settings(max_examples=60, deadline=None)
@given(st.lists(_EVENTS, min_size=1, max_size=14))
def test_every_host_is_reached_by_its_own_group_alone(events: list[Mapping | tuple[str, str]]) -> None:
    start = [service(), *(_serving(name, ("a.test",)) for name in _SECRETS)]
    s, state = Site(*start), {(one["kind"], one["metadata"]["name"]): one for one in start}
    for event in events:
        if isinstance(event, tuple):
            s.delete(*event)
            state.pop(event, None)
        else:
            s.apply(event)
            state[event["kind"], event["metadata"]["name"]] = event

    scratch = Site(*state.values())
    assert s.state() == scratch.state()
    chains = {name: chain.name.partition("/")[0] for name, chain in s.chains().items()}
    scopes = s.names(SCOPED_ROUTE)
    for member in s.graph.hosts.values.values():
        if member.https is None:
            continue
        secure = member.https
        assert secure.secret is not None
        group = Group(secure.secret, secure.min_tls, secure.max_tls).name
        own = accepting(set(chains), member.name)
        assert own is not None
        assert chains[own] == group
        if member.name.startswith("*"):
            continue
        assert f"{group}/{member.name}" in scopes
        for held in suffixes(member.name):
            if chains.get(held, group) != group:
                assert statuses(s, f"{chains[held]}/{member.name}") == {"*": 421}
