"""What the annotations of an Ingress say about all its routes and hosts (operations.md §5.4).

One module for each family of annotations reads its own: `annotations_kubernetes`, `annotations_contour`. What they find
is put together here, so that whoever builds routes asks one value. The class is the store's business.
"""

from __future__ import annotations

import msgspec

from contour.api.meta import ObjectMeta
from contour.dag import annotations_contour, annotations_kubernetes
from contour.dag.annotations_contour import ContourAnnotations
from contour.dag.verdict import Finding


class IngressSettings(msgspec.Struct, frozen=True, gc=False):
    """`contour`: timeouts, retries, WebSockets, TLS. `problems`: values that cannot be used; the default holds then."""

    redirect_to_https: bool = False
    http: bool = True  # whether there are routes on the plain listener; a redirect is one
    contour: ContourAnnotations = ContourAnnotations()
    problems: tuple[Finding, ...] = ()


DEFAULT = IngressSettings()


def ingress_settings(metadata: ObjectMeta) -> IngressSettings:
    annotations = metadata.annotations
    if not annotations:
        return DEFAULT
    redirect = annotations_kubernetes.redirect_to_https(annotations)
    contour, problems = annotations_contour.read(annotations)
    return IngressSettings(
        redirect_to_https=redirect,
        http=redirect or annotations_kubernetes.http_allowed(annotations),
        contour=contour,
        problems=problems,
    )
