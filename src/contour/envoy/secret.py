"""Secrets for SDS (httpproxy.md §4.13). CA bundles are inlined where they are used and never come this way."""

from __future__ import annotations

from contour.envoy import pb


def tls_certificate(name: str, certificate: bytes, private_key: bytes) -> pb.Secret:
    return pb.Secret(
        name=name,
        tls_certificate=pb.TlsCertificate(
            certificate_chain=pb.DataSource(inline_bytes=certificate),
            private_key=pb.DataSource(inline_bytes=private_key),
        ),
    )
