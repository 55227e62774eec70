"""The configuration file and the flags over it (operations.md §2)."""

from __future__ import annotations

import pytest

from contour.control.settings import Flags, Settings, SettingsError, load


def test_nothing_given_is_the_reference_defaults() -> None:
    settings = load("")
    assert settings == Settings()
    assert (settings.envoy.http_port, settings.envoy.https_port, settings.envoy.stats_port) == (8080, 8443, 8002)
    assert settings.envoy.connection_idle_timeout == 60_000_000_000


@pytest.mark.parametrize(
    "text", ["# only a comment\n", "{}", "server: {}\n", "tls:\n  minimum-protocol-version: null\n"]
)
def test_files_that_say_nothing(text: str) -> None:
    assert load(text) == Settings()


def test_keys_of_the_file() -> None:
    settings = load(
        """
disablePermitInsecure: true
ingress-status-address: 192.0.2.1
envoy-service-name: e
envoy-service-namespace: ns
tls: {minimum-protocol-version: 1.3}
timeouts: {connection-idle-timeout: infinity, connect-timeout: 250ms}
network: {admin-port: 0}
"""
    )
    assert settings.graph.disable_permit_insecure
    assert settings.status_address == "192.0.2.1"
    assert (settings.envoy_service_namespace, settings.envoy_service_name) == ("ns", "e")
    assert settings.envoy.min_tls == "1.3"  # written as a number
    assert settings.envoy.connection_idle_timeout == 0
    assert settings.envoy.connect_timeout == 250_000_000
    assert settings.envoy.admin_port == 9001  # zero never overrides a default


def test_a_negative_admin_port_is_no_listener() -> None:
    """It is not zero, so it does override (§2.1), and there is a listener only above zero (§7.10)."""
    assert load("network: {admin-port: -1}").envoy.admin_port == -1


def test_what_is_not_checked() -> None:
    assert load("serverHeaderTransformation: as_you_like\nfeatureFlags: [no-such-flag]\n") == Settings()


def test_flags_win_over_the_file() -> None:
    flags = Flags(ingress_status_address="192.0.2.2", root_namespaces=" a , b", ingress_class_name="x, y")
    settings = load("ingress-status-address: 192.0.2.1\n", flags)
    assert settings.status_address == "192.0.2.2"
    assert settings.graph.root_namespaces == ("a", "b")
    assert settings.graph.ingress_class_names == ("x", " y")  # not trimmed, as in the reference


def test_a_flag_without_text_wins_too() -> None:
    """What holds then is the default."""
    flags = Flags(ingress_status_address="", envoy_service_name="", envoy_service_namespace="")
    file = "ingress-status-address: 192.0.2.1\nenvoy-service-name: a\nenvoy-service-namespace: b\n"
    assert load(file, flags, contour_namespace="c") == load("")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("unknown: 1", "unknown"),
        ("tls: {unknown: 1}", "unknown"),
        ("server: {xds-server-type: envoy}", "xds-server-type"),
        ("debug: [", "failed to parse configuration: "),
        ("debug: 1\ndebug: 2", "failed to parse configuration: "),
        ("- a", "failed to parse configuration: "),
        ("network: {admin-port: x}", "admin-port"),
        ("tls: {minimum-protocol-version: '1.1'}", 'invalid TLS minimum protocol version: "1.1"'),
        ("tls: {maximum-protocol-version: '1.4'}", 'invalid TLS maximum protocol version: "1.4"'),
        (
            "tls: {minimum-protocol-version: '1.3', maximum-protocol-version: '1.2'}",
            "the minimum TLS protocol version is greater than the maximum TLS protocol version",
        ),
        ("timeouts: {connect-timeout: infinity}", 'connect timeout "infinity": '),
        ("timeouts: {connection-idle-timeout: 5}", 'connection idle timeout "5": '),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(text)
    assert message in str(caught.value)


def test_root_namespaces_must_be_watched() -> None:
    with pytest.raises(SettingsError, match="not all root namespaces are being watched"):
        load("", Flags(root_namespaces="a,b", watch_namespaces="a"))
