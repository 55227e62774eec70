"""A golden's folder as objects and settings. Certificates are made here, see README.md."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from contour.api.admission import admit
from contour.api.core import Secret
from contour.api.decode import decode
from contour.api.meta import Object, ObjectRef
from contour.cli.flags import parse
from contour.control.settings import Flags, Settings, load
from contour.envoy import names
from contour.manifests.reading import Unreadable, read
from contour.testing.certs import Authority, Key, Pair

ROOT = Path(__file__).parent
OUTPUTS = ("graph.yaml", "status.yaml", "scoped.yaml", "classic.yaml")
INPUTS = ("in.yaml", "config.yaml", "args")
DEFAULTS = "defaults"

_SKIP_ADMISSION = "--skip-admission"
_ANNOTATION = "golden/"

Json = dict[str, Any]


class Golden(msgspec.Struct, frozen=True):
    """`labels`: texts that differ from run to run -> what is printed for them."""

    name: str
    settings: Settings
    objects: tuple[Object, ...]
    refused: dict[ObjectRef, str]
    labels: dict[str, str]

    @property
    def folder(self) -> Path:
        return ROOT / self.name


def folders() -> list[str]:
    return sorted(path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__")


@cache
def golden(name: str) -> Golden:
    folder = ROOT / name
    args = [line for line in _text(folder / "args").splitlines() if line]
    flags = parse([one for one in args if one != _SKIP_ADMISSION])
    checked = decode if _SKIP_ADMISSION in args else admit
    labels: dict[str, str] = {}
    contents = read((folder / "in.yaml").read_bytes(), decode=lambda source: checked(_filled(source, labels)))
    assert not isinstance(contents, Unreadable), contents
    objects: list[Object] = []
    refused: dict[ObjectRef, str] = {}
    for entry in contents.entries:
        assert entry.key is not None, f"{name}/in.yaml:{entry.line}: {entry.problem}"
        if entry.problem:
            refused[entry.key] = entry.problem
        else:
            objects.append(entry.value)
    labels |= _secret_names(objects)
    return Golden(name, load(_text(folder / "config.yaml"), Flags(**flags)), tuple(objects), refused, labels)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


# --- certificates -------------------------------------------------------------------------------------------------


def _filled(source: Mapping[str, Any], labels: dict[str, str]) -> Mapping[str, Any]:
    """A Secret with the content that its annotations ask for."""
    annotations = (source.get("metadata") or {}).get("annotations") or {}
    asked = {key.removeprefix(_ANNOTATION): annotations[key] for key in annotations if key.startswith(_ANNOTATION)}
    if source["kind"] != "Secret" or not asked:
        return source
    data: dict[str, bytes] = {}
    if "certificate" in asked:
        wanted = tuple(part.strip() for part in asked["certificate"].split(","))
        data |= _serving(wanted, asked.get("key", "ec"), labels)
    if "authority" in asked:
        data["ca.crt"] = _authority(asked["authority"]).certificate
        labels |= _labels(data["ca.crt"], f"[authority: {asked['authority']}]")
    if "revoked" in asked:
        data["crl.pem"] = _revoked(asked["revoked"])
        labels |= _labels(data["crl.pem"], f"[revoked: {asked['revoked']}]")
    for key in asked.get("without", "").split(","):
        data.pop(key, None)
    kept = {key: value for key, value in annotations.items() if not key.startswith(_ANNOTATION)}
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    return {
        "type": "kubernetes.io/tls" if "certificate" in asked else "Opaque",
        **source,
        "metadata": {**source["metadata"], "annotations": kept},
        "data": {**encoded, **(source.get("data") or {})},
    }


def _serving(wanted: tuple[str, ...], kind: str, labels: dict[str, str]) -> dict[str, bytes]:
    pair = _signed(wanted, "ec" if kind == "other" else kind)  # type: ignore[arg-type]
    key = _signed(("other.test",), "ec").private_key if kind == "other" else pair.private_key
    text = ", ".join(wanted)
    labels |= _labels(pair.certificate, f"[certificate: {text}]") | _labels(key, f"[private key: {text}]")
    return {"tls.crt": pair.certificate, "tls.key": key}


@cache
def _authority(name: str) -> Authority:
    return Authority(name)


@cache
def _revoked(authority: str) -> bytes:
    return _authority(authority).revoked()


@cache
def _signed(wanted: tuple[str, ...], kind: Key) -> Pair:
    return _authority("test authority").sign(*wanted, key=kind)


def _labels(content: bytes, label: str) -> dict[str, str]:
    return {base64.b64encode(content).decode(): label}


def _secret_names(objects: list[Object]) -> Iterator[tuple[str, str]]:
    """The classic shape's names of secrets end in a digest of the certificate."""
    for one in objects:
        if isinstance(one, Secret) and (certificate := (one.data or {}).get("tls.crt")):
            yield names.secret(one.ref, certificate), f"{one.ref}/[digest]"
