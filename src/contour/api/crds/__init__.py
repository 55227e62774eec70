"""The CRDs that we ship: their YAML, as it is applied to a cluster, and their schemas, ready to be walked.

In: nothing but the package's own files, written by `tools/crds.py`. Out: YAML text for manifests and installers,
`Schema` values for admission. Each rule in CEL has its function in `RULES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from typing import Any

from contour.api.schema import Schema, compile_schema
from contour.api.yaml import documents

NAMES = {
    "HTTPProxy": "httpproxies",
    "TLSCertificateDelegation": "tlscertificatedelegations",
    "ExtensionService": "extensionservices",
    "IngressRoute": "ingressroutes.contour.heptio.com",
    "TLSCertificateDelegation.contour.heptio.com": "tlscertificatedelegations.contour.heptio.com",
}

RULES: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "has(self.subjectNames) ? self.subjectNames[0] == self.subjectName : true": lambda self: (
        "subjectNames" not in self or self["subjectNames"][0] == self["subjectName"]
    ),
    "!has(self.httpSettings) || self.serviceType == 'http'": lambda self: (
        "httpSettings" not in self or self["serviceType"] == "http"
    ),
    " + ".join(f"(has(self.{field}) ? 1 : 0)" for field in ("exact", "prefix", "suffix", "contains")) + " == 1": (
        lambda self: len(self.keys() & {"exact", "prefix", "suffix", "contains"}) == 1
    ),
    "(has(self.remoteJWKS) && !has(self.localJWKS)) || (!has(self.remoteJWKS) && has(self.localJWKS))": lambda self: (
        ("remoteJWKS" in self) != ("localJWKS" in self)
    ),
}


def text(kind: str) -> str:
    """The YAML of a CRD."""
    return resources.files(__package__).joinpath(f"{NAMES[kind]}.yaml").read_text(encoding="utf-8")


@cache
def schema(kind: str) -> Schema:
    """The schema of a kind."""
    crd = documents(text(kind))[0].value
    return compile_schema(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], RULES)
