import pytest

from contour.api.projectcontour import (
    HeaderHashOptions,
    LoadBalancerPolicy,
    QueryParameterHashOptions,
    RequestHashPolicy,
)
from contour.dag.graph import HashPolicy
from contour.dag.policy.loadbalancer import LoadBalancing, load_balancer
from contour.dag.verdict import Finding

NOTHING_LEFT = "ignoring invalid request hash policy options, setting load balancer strategy to default RoundRobin"
NOT_ONE = (
    "ignoring invalid request hash policy, must set exactly one of "
    "hashSourceIP or headerHashOptions or queryParameterHashOptions"
)
BAD_NAME = (
    "[a valid HTTP header must consist of alphanumeric characters or '-' "
    "(e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')]"
)


def header(name: str, **more) -> RequestHashPolicy:
    return RequestHashPolicy(header_hash_options=HeaderHashOptions(name), **more)


def query(name: str, **more) -> RequestHashPolicy:
    return RequestHashPolicy(query_parameter_hash_options=QueryParameterHashOptions(name), **more)


def source_ip(**more) -> RequestHashPolicy:
    return RequestHashPolicy(hash_source_ip=True, **more)


def hashed(*entries: RequestHashPolicy) -> LoadBalancing:
    return load_balancer(LoadBalancerPolicy("RequestHash", entries))


def messages(answer: LoadBalancing) -> list[str]:
    assert {(warning.type, warning.reason) for warning in answer.warnings} <= {("SpecError", "IgnoredField")}
    return [warning.message for warning in answer.warnings]


@pytest.mark.parametrize(
    ("written", "strategy"),
    [
        ("", ""),
        ("RoundRobin", ""),
        ("roundrobin", ""),
        ("Nonsense", ""),
        ("Random", "Random"),
        ("WeightedLeastRequest", "WeightedLeastRequest"),
    ],
)
def test_strategies_without_hashing(written: str, strategy: str):
    assert load_balancer(LoadBalancerPolicy(written)) == LoadBalancing(strategy)


def test_no_policy():
    assert load_balancer(None) == LoadBalancing()


def test_cookie():
    cookie = HashPolicy(cookie="X-Contour-Session-Affinity", cookie_path="/")
    assert load_balancer(LoadBalancerPolicy("Cookie")) == LoadBalancing("Cookie", (cookie,))


def test_request_hash():
    answer = hashed(header("x-user", terminal=True), query("Id"), source_ip())
    expected = (
        HashPolicy(terminal=True, header="X-User"),
        HashPolicy(query_parameter="id"),
        HashPolicy(source_ip=True),
    )
    assert answer == LoadBalancing("RequestHash", expected)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (RequestHashPolicy(), NOT_ONE),
        (header("x", hash_source_ip=True), NOT_ONE),
        (
            RequestHashPolicy(
                header_hash_options=HeaderHashOptions("x"), query_parameter_hash_options=QueryParameterHashOptions("y")
            ),
            NOT_ONE,
        ),
        (source_ip(), "ignoring invalid request hash policy, hashSourceIP specified multiple times"),
        (header("x_y"), f'ignoring invalid header hash policy options with invalid header name "X_y": {BAD_NAME}'),
        (header("X-A"), "ignoring invalid header hash policy options with duplicated header name X-A"),
        (query(""), "ignoring invalid query parameter hash policy options with an invalid empty query parameter name"),
        (
            query("Q"),
            "ignoring invalid query parameter hash policy options with duplicated query parameter name q",
        ),
    ],
)
def test_what_cannot_be_used_is_left_out_with_a_warning(entry: RequestHashPolicy, message: str):
    answer = hashed(source_ip(), header("x-a"), query("q"), entry, header("x-last"))
    assert messages(answer) == [message]
    assert [policy.header for policy in answer.hash_policies] == ["", "X-A", "", "X-Last"]
    assert answer.strategy == "RequestHash"


def test_the_same_mistake_twice_is_told_twice():
    assert (
        messages(hashed(query(""), query(""), source_ip()))
        == ["ignoring invalid query parameter hash policy options with an invalid empty query parameter name"] * 2
    )


@pytest.mark.parametrize("entries", [(), (RequestHashPolicy(),)])
def test_nothing_left_is_round_robin_by_its_literal_name(entries: tuple[RequestHashPolicy, ...]):
    answer = hashed(*entries)
    assert (answer.strategy, answer.hash_policies) == ("RoundRobin", ())
    assert answer.warnings[-1] == Finding("SpecError", "IgnoredField", NOTHING_LEFT)
    assert len(answer.warnings) == len(entries) + 1
