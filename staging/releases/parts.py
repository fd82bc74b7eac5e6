"""Reads a list of parts (SBOM, CycloneDX JSON): of which parts a release or a base install is. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wire.errors import FieldError, WireError
from wire.fields import get_object, get_string, is_object, parse_object

SBOM_LIMIT = 16 * 2**20
PARTS_LIMIT = 20_000
NAME_LIMIT = 255
# Of release/sbom.py: "base" is what a release was built against, and does not bring.
ORIGIN, BASE = "story:origin", "base"


@dataclass(frozen=True, slots=True)
class PartRow:
    """One part; ``name`` as the package index compares names."""

    name: str
    version: str
    bundled: bool


@dataclass(frozen=True, slots=True)
class PartsList:
    """What an SBOM says: of which component of which version, and its parts, itself among them."""

    sha256: str
    name: str
    version: str
    parts: frozenset[PartRow]
    document: str


def canonical(name: str) -> str:
    """Return a part's name as the package index compares names (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_parts(data: bytes) -> PartsList:
    """Read an SBOM, of ours or of another tool; raises WireError that names the member.

    Parts of parts count as parts. What has no version is left out: nobody could ask for it.
    """
    if len(data) > SBOM_LIMIT:
        raise WireError(f"SBOM: got {len(data)} bytes, expected at most {SBOM_LIMIT}")
    source = parse_object(data, "SBOM")
    if source.get("bomFormat") != "CycloneDX":
        raise FieldError("SBOM.bomFormat", source.get("bomFormat"), '"CycloneDX"')
    metadata = get_object(source, "metadata", path="SBOM.")
    itself = get_object(metadata, "component", path="SBOM.metadata.")
    name, version = (
        _text(itself, member, "SBOM.metadata.component.") for member in ("name", "version")
    )
    parts = {PartRow(canonical(name), version, bundled=True), *_parts(source)}
    if len(parts) > PARTS_LIMIT:
        raise WireError(f"SBOM: got {len(parts)} parts, expected at most {PARTS_LIMIT}")
    digest = hashlib.sha256(data).hexdigest()
    return PartsList(digest, name, version, frozenset(parts), data.decode())


def _parts(source: Mapping[str, object]) -> Iterator[PartRow]:
    components = source.get("components", [])
    if not isinstance(components, list):
        raise FieldError("SBOM.components", components, "a list")
    for component in components:
        if not is_object(component):
            raise FieldError("SBOM.components", component, "objects")
        name = _text(component, "name", "SBOM.components.")
        if component.get("version"):
            version = _text(component, "version", "SBOM.components.")
            yield PartRow(canonical(name), version, bundled=_origin(component) != BASE)
        yield from _parts(component)


def _text(source: Mapping[str, object], member: str, path: str) -> str:
    value = get_string(source, member, path=path)
    if len(value) > NAME_LIMIT or "\0" in value:
        raise FieldError(path + member, value, f"at most {NAME_LIMIT} characters")
    return value


def _origin(component: Mapping[str, object]) -> object:
    properties = component.get("properties", [])
    for each in properties if isinstance(properties, list) else []:
        if is_object(each) and each.get("name") == ORIGIN:
            return each.get("value")
    return None
