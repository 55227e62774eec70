"""Many rendered states as one static bootstrap, so that one start of Envoy's validator checks them all."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from contour.testing.certs import Authority, Pair
from contour.testing.static import static_config

Json = dict[str, Any]

_ADMIN = "envoy-admin"  # of the listeners that show Envoy's own pages
_FIRST_PORT = 10_000


def merged(states: Mapping[str, Mapping[str, list[Json]]]) -> Json:
    """`states` by a name that tells them apart: names of what they hold begin with it. One runtime layer serves all."""
    listeners: list[Json] = []
    clusters: dict[str, Json] = {}
    secrets: list[Json] = []
    runtime: Json = {}
    for name, state in states.items():
        config = static_config(state)
        resources = config["static_resources"]
        runtime = config["layered_runtime"]
        for listener in resources["listeners"]:
            listener["name"] = f"{name}|{listener['name']}"
            listener["address"]["socket_address"]["port_value"] = _FIRST_PORT + len(listeners)
            listeners.append(listener)
        for cluster in resources["clusters"]:
            if cluster["name"] != _ADMIN:
                cluster["name"] = f"{name}|{cluster['name']}"
                cluster.pop("alt_stat_name", None)
            clusters[cluster["name"]] = cluster
        for secret in resources["secrets"]:
            secret["name"] = f"{name}|{secret['name']}"
            secrets.append(_without_files(secret))
        for one in (*resources["listeners"], *resources["clusters"]):
            _rename_secrets(one, name)
    return {
        "static_resources": {"listeners": listeners, "clusters": list(clusters.values()), "secrets": secrets},
        "layered_runtime": runtime,
    }


@cache
def _authority() -> tuple[Authority, Pair]:
    authority = Authority()
    return authority, authority.sign("metrics.example.com")


def _without_files(secret: Json) -> Json:
    """Files that a secret names are where Envoy runs, which is not here."""
    authority, pair = _authority()
    certificate, validation = secret.get("tls_certificate", {}), secret.get("validation_context", {})
    if "filename" in certificate.get("certificate_chain", {}):
        certificate["certificate_chain"] = {"inline_string": pair.certificate.decode()}
        certificate["private_key"] = {"inline_string": pair.private_key.decode()}
    if "filename" in validation.get("trusted_ca", {}):
        validation["trusted_ca"] = {"inline_string": authority.certificate.decode()}
    return secret


def _rename_secrets(value: Any, name: str) -> None:
    if isinstance(value, dict):
        for one in value.get("tls_certificate_sds_secret_configs", ()):
            one["name"] = f"{name}|{one['name']}"
        if "validation_context_sds_secret_config" in value:
            one = value["validation_context_sds_secret_config"]
            one["name"] = f"{name}|{one['name']}"
        for item in value.values():
            _rename_secrets(item, name)
    elif isinstance(value, list):
        for item in value:
            _rename_secrets(item, name)
