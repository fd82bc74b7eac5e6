"""The list of parts of a package (SBOM), as CycloneDX 1.6 has it, and what is known of their faults (VEX).

Pure: the same parts and time give the same bytes, so that a package can be built again.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from release.faults import Fault
from release.licences import to_cyclonedx
from release.parts import Part
from wire.errors import FieldError
from wire.fields import get_int, get_object, get_string, is_object

SPECIFICATION = "1.6"
SCHEMA = f"http://cyclonedx.org/schema/bom-{SPECIFICATION}.schema.json"
# "bundled": the package brings the part. "base": it was built against it and takes what is installed.
ORIGIN = "story:origin"
BUNDLED, BASE = "bundled", "base"
OUR_LICENCE = "Apache-2.0"
# Serial numbers are made from the content, below this name of ours.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, SCHEMA)


def make_sbom(
    name: str, version: str, parts: Sequence[Part], wants: Collection[str], built: int
) -> bytes:
    """Return the SBOM of a package of ours.

    Args:
        name: the package's name, which every reference begins with.
        version: its version.
        parts: what it brings or was built against.
        wants: the names of the parts that it needs itself; the others are needed by these.
        built: when it was built, Unix time in seconds.
    """
    root = f"{name}@{version}"
    direct = [_ref(part) for part in parts if part.name in wants]
    refs = {part.name: _ref(part) for part in parts}
    return document(
        built,
        metadata={
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": name,
                "version": version,
                "licenses": to_cyclonedx(OUR_LICENCE),
                "purl": f"pkg:generic/{root}",
            }
        },
        rest={
            "components": [_component(part) for part in parts],
            "dependencies": [
                {"ref": root, "dependsOn": direct},
                *(
                    {"ref": _ref(part), "dependsOn": sorted(refs[need] for need in part.needs)}
                    for part in parts
                ),
            ],
        },
    )


def make_vex(sbom: Mapping[str, object], faults: Sequence[Fault], now: int) -> bytes:
    """Return the VEX of a package: what is known of each fault in its parts.

    Args:
        sbom: the package's SBOM, as `make_sbom` made it.
        faults: what is known; those of parts that the package has not are left out.
        now: the time of the statement, Unix time in seconds.

    Raises:
        WireError: ``sbom`` has not the members that the VEX refers to.
    """
    serial = get_string(sbom, "serialNumber").removeprefix("urn:uuid:")
    link = f"urn:cdx:{serial}/{get_int(sbom, 'version', low=1)}"
    component = get_object(get_object(sbom, "metadata"), "component", path="metadata.")
    known = [
        {
            "id": fault.id,
            "analysis": fault.analysis(),
            "affects": [{"ref": f"{link}#{ref}"} for ref in refs],
        }
        for fault in faults
        if (
            refs := [
                ref for ref, name, version in _components(sbom) if fault.affects(name, version)
            ]
        )
    ]
    return document(now, metadata={"component": component}, rest={"vulnerabilities": known})


def _components(sbom: Mapping[str, object]) -> Iterator[tuple[str, str, str]]:
    """Return reference, name and version of each part; raises WireError."""
    components = sbom.get("components")
    for component in components if isinstance(components, list) else []:
        if not is_object(component):
            raise FieldError("components", component, "objects")
        name, version = (
            get_string(component, it, path="components.") for it in ("name", "version")
        )
        yield get_string(component, "bom-ref", path="components."), name, version


def _ref(part: Part) -> str:
    return f"pkg:pypi/{part.name}@{part.version}"


def _component(part: Part) -> dict[str, object]:
    return {
        "type": "library",
        "bom-ref": _ref(part),
        "name": part.name,
        "version": part.version,
        "licenses": to_cyclonedx(part.licence),
        "purl": _ref(part),
        "properties": [{"name": ORIGIN, "value": BUNDLED if part.bundled else BASE}],
    }


def document(time: int, *, metadata: Mapping[str, object], rest: Mapping[str, object]) -> bytes:
    """Return a CycloneDX document of ``metadata`` and ``rest``, made at ``time`` (Unix time, seconds)."""
    stamp = datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    content = {"version": 1, "metadata": {"timestamp": stamp, **metadata}, **rest}
    serial = uuid.uuid5(_NAMESPACE, json.dumps(content, sort_keys=True))
    head = {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "serialNumber": f"urn:uuid:{serial}",
    }
    return json.dumps({**head, **content}, indent=1, ensure_ascii=False).encode() + b"\n"
