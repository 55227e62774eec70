"""What holds where nobody said anything, and how what somebody said is laid over it (operations.md §2.1, §2.4).

Only what is not zero overrides: `0`, `""`, `false` and empty lists leave the default, even where they were written.
Lists replace, maps merge by key, structures by field.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from contour.api import configuration as api
from contour.control.settings.file import DEFAULT_JSON_FIELDS
from contour.envoy.options import DEFAULT_CIPHER_SUITES

_Struct = TypeVar("_Struct", bound=msgspec.Struct)

_ANY = "0.0.0.0"  # Contour's and Envoy's pods are there to be reached
_TLS = api.TLS(minimum_protocol_version="1.2", maximum_protocol_version="1.3", cipher_suites=DEFAULT_CIPHER_SUITES)

DEFAULTS = api.Spec(
    xds_server=api.XDSServer(
        address=_ANY,
        port=8001,
        tls=api.XDSServerTLS(ca_file="/certs/ca.crt", cert_file="/certs/tls.crt", key_file="/certs/tls.key"),
    ),
    ingress=api.Ingress(),
    debug=api.Endpoint("127.0.0.1", 6060),
    health=api.Endpoint(_ANY, 8000),
    envoy=api.Envoy(
        listener=api.Listener(server_header_transformation="overwrite", tls=_TLS, socket_options=api.SocketOptions()),
        service=api.NamespacedName("envoy", "projectcontour"),
        http=api.EnvoyListener(_ANY, 8080, "/dev/stdout"),
        https=api.EnvoyListener(_ANY, 8443, "/dev/stdout"),
        health=api.Endpoint(_ANY, 8002),
        metrics=api.Metrics(_ANY, 8002),
        logging=api.Logging(
            access_log_format="envoy", access_log_json_fields=DEFAULT_JSON_FIELDS, access_log_level="info"
        ),
        default_http_versions=("HTTP/1.1", "HTTP/2"),
        timeouts=api.Timeouts(),
        cluster=api.Cluster(dns_lookup_family="auto", upstream_tls=_TLS),
        network=api.Network(admin_port=9001),
    ),
    httpproxy=api.HTTPProxies(),
    policy=api.Policy(api.Headers(), api.Headers()),
    metrics=api.Metrics(_ANY, 8000),
)


def overlay(default: _Struct, given: _Struct) -> _Struct:
    """`given` over `default`, both of one type."""
    changes: dict[str, Any] = {}
    for name in default.__struct_fields__:
        mine, theirs = getattr(default, name), getattr(given, name)
        if isinstance(mine, msgspec.Struct) and isinstance(theirs, msgspec.Struct):
            changes[name] = overlay(mine, theirs)
        elif isinstance(mine, dict) and isinstance(theirs, dict):
            changes[name] = mine | theirs
        elif theirs or isinstance(theirs, msgspec.Struct):
            changes[name] = theirs
    return msgspec.structs.replace(default, **changes)
