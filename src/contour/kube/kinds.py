"""The kinds that are watched: where the API serves them, and when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from contour.api.core import EndpointSlice, Secret, Service
from contour.api.extensionservice import ExtensionService
from contour.api.heptio import HeptioCertificateDelegation, IngressRoute
from contour.api.meta import Object
from contour.api.networking import Ingress
from contour.api.projectcontour import HTTPProxy, TLSCertificateDelegation


class Kind(msgspec.Struct, frozen=True, gc=False):
    """One resource of the API.

    `feature`: the name by which `--disable-feature` leaves it out. `optional`: that it is not installed is no trouble,
    and that we may not read it holds nothing up; it counts as empty until it is read.
    """

    type: type[Object]
    plural: str
    namespaced: bool = True
    field_selector: str = ""
    feature: str = ""
    optional: bool = False

    @property
    def name(self) -> str:
        return self.type.kind

    def path(self, namespace: str = "") -> str:
        """The collection, of all namespaces or of one."""
        api = f"/apis/{self.type.api_version}" if "/" in self.type.api_version else f"/api/{self.type.api_version}"
        return f"{api}/namespaces/{namespace}/{self.plural}" if namespace else f"{api}/{self.plural}"

    def path_of(self, namespace: str, name: str) -> str:
        """One object."""
        return f"{self.path(namespace)}/{name}"


# operations.md §6.1. Releases of Helm and tokens of service accounts are most of the Secrets of many clusters.
KINDS: tuple[Kind, ...] = (
    Kind(Service, "services"),
    Kind(EndpointSlice, "endpointslices"),
    Kind(Secret, "secrets", field_selector="type!=helm.sh/release.v1,type!=kubernetes.io/service-account-token"),
    Kind(Ingress, "ingresses"),
    Kind(HTTPProxy, "httpproxies"),
    Kind(TLSCertificateDelegation, "tlscertificatedelegations"),
    Kind(ExtensionService, "extensionservices", feature="extensionservices"),
    # What is older than HTTPProxy (operations.md §12): most clusters have neither.
    Kind(IngressRoute, "ingressroutes", optional=True),
    Kind(HeptioCertificateDelegation, "tlscertificatedelegations", optional=True),
)

BY_NAME: dict[str, Kind] = {kind.name: kind for kind in KINDS}


def wanted(disabled: Sequence[str] = (), kinds: Iterable[Kind] = KINDS) -> tuple[Kind, ...]:
    """Without those whose feature is disabled."""
    return tuple(kind for kind in kinds if not kind.feature or kind.feature not in disabled)


def places(kind: Kind, namespaces: Sequence[str]) -> tuple[str, ...]:
    """The namespaces to list one by one (operations.md §6.3); "" for all at once."""
    return tuple(dict.fromkeys(namespaces)) if kind.namespaced and namespaces else ("",)
