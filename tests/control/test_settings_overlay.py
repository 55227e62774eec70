"""How what somebody said is laid over what holds otherwise (operations.md §2.1)."""

from __future__ import annotations

from contour.api import configuration as api
from contour.control.settings import effective
from contour.control.settings.overlay import DEFAULTS, overlay


def envoy(given: api.Envoy) -> api.Envoy:
    found = overlay(DEFAULTS, api.Spec(envoy=given)).envoy
    assert found is not None
    return found


def test_nothing_given_leaves_everything() -> None:
    assert overlay(DEFAULTS, api.Spec()) == DEFAULTS
    assert overlay(DEFAULTS, DEFAULTS) == DEFAULTS


def test_lists_replace() -> None:
    found = envoy(
        api.Envoy(default_http_versions=("HTTP/2",), listener=api.Listener(tls=api.TLS(cipher_suites=("A",))))
    )
    assert found.default_http_versions == ("HTTP/2",)
    assert found.listener is not None
    assert found.listener.tls is not None
    assert found.listener.tls.cipher_suites == ("A",)
    assert found.listener.tls.minimum_protocol_version == "1.2"  # of the same structure, and not said


def test_maps_merge_by_key() -> None:
    given = {"a": "1", "b": "2"}
    before = api.Envoy(runtime_settings=given)
    assert overlay(before, api.Envoy(runtime_settings={"b": "3", "c": "4"})).runtime_settings == {
        "a": "1", "b": "3", "c": "4",
    }  # fmt: skip
    assert given == {"a": "1", "b": "2"}


def test_what_is_zero_overrides_nothing() -> None:
    before = api.Envoy(
        network=api.Network(admin_port=7, num_trusted_hops=1),
        listener=api.Listener(connection_balancer="exact", disable_merge_slashes=True),
        default_http_versions=("HTTP/2",),
    )
    zero = api.Envoy(
        network=api.Network(admin_port=0, num_trusted_hops=0),
        listener=api.Listener(connection_balancer="", disable_merge_slashes=False),
        default_http_versions=(),
    )
    assert overlay(before, zero) == before


def test_where_nothing_was_the_whole_is_taken() -> None:
    """Zeros in it, too: there is nothing that they could leave."""
    tracing = api.Tracing(extension_service=api.NamespacedName("a", "b"), max_path_tag_length=0)
    assert overlay(DEFAULTS, api.Spec(tracing=tracing)).tracing is tracing
    spec = effective("tracing: {extensionService: b/a, maxPathTagLength: 0}")
    assert spec.tracing is not None
    assert spec.tracing.max_path_tag_length == 0
