"""What the evaluation of a host may ask about other objects, each answer cut down to what matters.

A host re-runs when an answer changes: a touched annotation, a status write or a rotated certificate changes none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from contour.api.extensionservice import ExtensionServiceSpec
from contour.api.heptio import IngressRouteSpec
from contour.api.meta import ObjectRef, Ref
from contour.api.networking import IngressSpec
from contour.api.projectcontour import HTTPProxySpec
from contour.api.scalars import parse_timeout
from contour.dag import delegation
from contour.dag.annotations import IngressSettings, ingress_settings
from contour.dag.graph import Extension, ExtensionFacts, LocalKeys
from contour.dag.options import Options
from contour.dag.secrets import ServingSecret, ca_bundle, jwks, revocation_list, serving_secret
from contour.dag.services import ServiceFacts, service_facts
from contour.dag.verdict import Invalid
from contour.reactive import Derived, Engine, Read
from contour.store import Store
from contour.store.store import ANY_HOST


class Proxy(msgspec.Struct, frozen=True, gc=False):
    """An HTTPProxy without its labels, annotations and status."""

    ref: Ref
    spec: HTTPProxySpec
    created: str


class IngressFacts(msgspec.Struct, frozen=True, gc=False):
    """An Ingress without its labels and status, and its annotations as what they mean.

    `rules` and `tls`: where the spec names a host. It may name thousands, and each of them looks for what is its own.
    """

    ref: Ref
    spec: IngressSpec
    settings: IngressSettings
    created: str
    rules: Mapping[str, tuple[int, ...]]
    tls: Mapping[str, tuple[int, ...]]

    @property
    def origin(self) -> ObjectRef:
        return ObjectRef("Ingress", self.ref.namespace, self.ref.name)


class IngressRouteFacts(msgspec.Struct, frozen=True, gc=False):
    """An IngressRoute without its labels, annotations and status."""

    ref: Ref
    spec: IngressRouteSpec
    created: str


class Sources:
    """Declared once for an engine; `Lookup` asks them. Eager, because a Secret or Service may be of 10,000 hosts.

    `extension` evaluates an ExtensionService, which asks about further objects in its turn.
    """

    def __init__(
        self,
        engine: Engine,
        store: Store,
        options: Options,
        extension: Callable[[Lookup, Ref, ExtensionServiceSpec], Extension],
    ) -> None:
        self.store = store
        self.options = options
        self._evaluate_extension = extension
        self.proxies: Derived[Ref, Proxy | None] = engine.derived("proxy", self._proxy, eager=True)
        self.ingresses: Derived[Ref, IngressFacts | None] = engine.derived("ingress", self._ingress, eager=True)
        self.ingressroutes: Derived[Ref, IngressRouteFacts | None] = engine.derived(
            "ingressroute", self._ingressroute, eager=True
        )
        self.services: Derived[Ref, ServiceFacts | None] = engine.derived("service", self._service, eager=True)
        self.serving_secrets: Derived[Ref, ServingSecret | Invalid] = engine.derived(
            "serving secret", self._serving, eager=True
        )
        self.serving_errors: Derived[Ref, Invalid | None] = engine.derived(
            "serving secret error", self._serving_error, eager=True
        )
        self.ca_bundles: Derived[Ref, bytes | Invalid] = engine.derived("CA bundle", self._ca_bundle, eager=True)
        self.ca_errors: Derived[Ref, Invalid | None] = engine.derived("CA bundle error", self._ca_error, eager=True)
        self.revocation_lists: Derived[Ref, bytes | Invalid] = engine.derived("CRL", self._crl, eager=True)
        self.crl_errors: Derived[Ref, Invalid | None] = engine.derived("CRL error", self._crl_error, eager=True)
        self.key_sets: Derived[LocalKeys, bytes | Invalid] = engine.derived("key set", self._key_set, eager=True)
        self.key_set_errors: Derived[LocalKeys, Invalid | None] = engine.derived(
            "key set error", self._key_set_error, eager=True
        )
        # Eager ones are settled in this order: before those of ExtensionServices everything that these ask about.
        self.grants: Derived[tuple[Ref, str], bool] = engine.derived("delegation", self._granted, eager=True)
        self.extension_specs: Derived[Ref, ExtensionServiceSpec | None] = engine.derived(
            "extension service", self._extension_spec, eager=True
        )
        self.extensions: Derived[Ref, Extension | None] = engine.derived("extension cluster", self._extension)
        self.extensions_found: Derived[Ref, bool] = engine.derived(
            "whether an extension cluster is there", self._extension_found, eager=True
        )
        self.extension_facts: Derived[Ref, ExtensionFacts] = engine.derived(
            "facts of an extension service", self._extension_facts, eager=True
        )

    def _proxy(self, read: Read, ref: Ref) -> Proxy | None:
        proxy = read(self.store.proxies, ref)
        return None if proxy is None else Proxy(ref, proxy.spec, proxy.metadata.creation_timestamp or "")

    def _ingress(self, read: Read, ref: Ref) -> IngressFacts | None:
        ingress = read(self.store.ingresses, ref)
        if ingress is None:
            return None
        return IngressFacts(
            ref,
            ingress.spec,
            ingress_settings(ingress.metadata),
            created=ingress.metadata.creation_timestamp or "",
            rules=_places((rule.host or ANY_HOST,) for rule in ingress.spec.rules),
            tls=_places(entry.hosts for entry in ingress.spec.tls),
        )

    def _ingressroute(self, read: Read, ref: Ref) -> IngressRouteFacts | None:
        route = read(self.store.ingressroutes, ref)
        return None if route is None else IngressRouteFacts(ref, route.spec, route.metadata.creation_timestamp or "")

    def _service(self, read: Read, ref: Ref) -> ServiceFacts | None:
        return service_facts(read(self.store.services, ref))

    def _serving(self, read: Read, ref: Ref) -> ServingSecret | Invalid:
        return serving_secret(read(self.store.secrets, ref))

    def _serving_error(self, read: Read, ref: Ref) -> Invalid | None:
        secret = read(self.serving_secrets, ref)
        return secret if isinstance(secret, Invalid) else None

    def _ca_bundle(self, read: Read, ref: Ref) -> bytes | Invalid:
        return ca_bundle(read(self.store.secrets, ref))

    def _ca_error(self, read: Read, ref: Ref) -> Invalid | None:
        bundle = read(self.ca_bundles, ref)
        return bundle if isinstance(bundle, Invalid) else None

    def _crl(self, read: Read, ref: Ref) -> bytes | Invalid:
        return revocation_list(read(self.store.secrets, ref))

    def _crl_error(self, read: Read, ref: Ref) -> Invalid | None:
        found = read(self.revocation_lists, ref)
        return found if isinstance(found, Invalid) else None

    def _key_set(self, read: Read, keys: LocalKeys) -> bytes | Invalid:
        return jwks(read(self.store.secrets, keys.secret), keys.key)

    def _key_set_error(self, read: Read, keys: LocalKeys) -> Invalid | None:
        found = read(self.key_sets, keys)
        return found if isinstance(found, Invalid) else None

    def _extension_spec(self, read: Read, ref: Ref) -> ExtensionServiceSpec | None:
        service = read(self.store.extensions, ref)
        return None if service is None else service.spec

    def _extension(self, read: Read, ref: Ref) -> Extension | None:
        spec = read(self.extension_specs, ref)
        return None if spec is None else self._evaluate_extension(Lookup(read, self), ref, spec)

    def _extension_found(self, read: Read, ref: Ref) -> bool:
        extension = read(self.extensions, ref)
        return extension is not None and extension.cluster is not None

    def _extension_facts(self, read: Read, ref: Ref) -> ExtensionFacts:
        """Of the object as it is written, even if it cannot be asked (§2.22: read by itself, not with the clusters)."""
        spec = read(self.extension_specs, ref)
        if spec is None:
            return ExtensionFacts()
        timeout = parse_timeout(spec.timeout_policy.response if spec.timeout_policy is not None else "")
        return ExtensionFacts(
            sni=spec.validation.subject_name if spec.validation is not None else "",
            # A negative one, which no API server lets pass, would make Envoy refuse the whole listener.
            response_timeout=max(timeout, 0) if isinstance(timeout, int) else None,
        )

    def _granted(self, read: Read, use: tuple[Ref, str]) -> bool:
        return delegation.permitted(read, self.store, *use)


def _places(hosts: Iterable[Iterable[str]]) -> dict[str, tuple[int, ...]]:
    """Host -> places of the entries that name it, in their order."""
    found: dict[str, list[int]] = {}
    for place, names in enumerate(hosts):
        for host in dict.fromkeys(names):
            found.setdefault(host, []).append(place)
    return {host: tuple(places) for host, places in found.items()}


class Lookup:
    """The sources as one evaluation sees them."""

    def __init__(self, read: Read, sources: Sources) -> None:
        self._read = read
        self._sources = sources
        self.options = sources.options

    def proxy(self, ref: Ref) -> Proxy | None:
        return self._read(self._sources.proxies, ref)

    def ingress(self, ref: Ref) -> IngressFacts | None:
        return self._read(self._sources.ingresses, ref)

    def ingressroute(self, ref: Ref) -> IngressRouteFacts | None:
        return self._read(self._sources.ingressroutes, ref)

    def service(self, ref: Ref) -> ServiceFacts | None:
        return self._read(self._sources.services, ref)

    def serving_error(self, secret: Ref) -> Invalid | None:
        """Why a Secret cannot serve a host; None if it can. Delegation is another question."""
        return self._read(self._sources.serving_errors, secret)

    def ca_bundle(self, secret: Ref) -> bytes | Invalid:
        return self._read(self._sources.ca_bundles, secret)

    def ca_error(self, secret: Ref) -> Invalid | None:
        """Why a Secret holds no CA certificates for clients; its content reaches Envoy without the host's help."""
        return self._read(self._sources.ca_errors, secret)

    def crl_error(self, secret: Ref) -> Invalid | None:
        """Why a Secret holds no list of revoked certificates."""
        return self._read(self._sources.crl_errors, secret)

    def key_set_error(self, keys: LocalKeys) -> Invalid | None:
        """Why a key set cannot be used; None if it can."""
        return self._read(self._sources.key_set_errors, keys)

    def extension(self, ref: Ref) -> bool:
        """Whether there is an ExtensionService of the name that can be asked: one without an error."""
        return self._read(self._sources.extensions_found, ref)

    def delegated(self, secret: Ref, namespace: str) -> bool:
        # Without the detour every Secret that is used at home would be remembered with its namespace.
        return secret.namespace == namespace or self._read(self._sources.grants, (secret, namespace))
