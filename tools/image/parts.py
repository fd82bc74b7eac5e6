"""The list of parts of an image (SBOM, CycloneDX): Debian's packages, and what the agent's package brings.

The image has it where the agent's package had its own list, so that a machine reports its digest and the cloud can say
which machines run a Debian package of a version (docs/sbom.md). Beside the image go the list, what is known of faults in
it, and the copyright files, which the image itself has no room for.
"""

from __future__ import annotations

import gzip
import io
import re
import subprocess
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from ota.launch.running import SBOM_NAME
from release.licences import UNKNOWN, to_cyclonedx
from release.sbom import BUNDLED, ORIGIN, document
from wire.errors import FieldError, WireError
from wire.fields import get_object, get_string, parse_object

PLACE = f"opt/story-agent/lib/common/{SBOM_NAME}"
AGENT = "story-agent"
# Debian's source package of a part, by whose name its security tracker speaks.
SOURCE = "debian:source"
# What a copyright file may name; a package of many works names more than anybody reads.
LICENCES_MAX = 12
_FORMAT = "--showformat=${Package}\\t${Version}\\t${Architecture}\\t${source:Package} ${source:Version}\\t${Provides}\\t${Pre-Depends}, ${Depends}\\n"
_LICENCE = re.compile(r"(?m)^License: *(\S[^\n]{0,80})$")
_COMMON = re.compile(r"/usr/share/common-licenses/([A-Za-z][A-Za-z0-9.+-]*[A-Za-z0-9+])")


@dataclass(frozen=True, slots=True)
class DebianPart:
    """An installed Debian package.

    Attributes:
        source: name and version of its source package.
        provides: other names that it answers to.
        needs: names that its dependencies have, alternatives among them.
        licence: names of licences, as its copyright file has them.
    """

    name: str
    version: str
    architecture: str
    source: str
    provides: tuple[str, ...]
    needs: tuple[str, ...]
    licence: str = UNKNOWN

    def ref(self, suite: str) -> str:
        """Return its package URL."""
        version = quote(self.version, safe="~.")
        return f"pkg:deb/debian/{quote(self.name)}@{version}?arch={self.architecture}&distro={suite}"  # fmt: skip


def read_packages(text: str) -> list[DebianPart]:
    """Parse what dpkg-query writes of each package; raises ValueError for a line of another kind."""
    parts = []
    for line in text.splitlines():
        name, version, architecture, source, provides, needs = line.split("\t")
        parts.append(DebianPart(name, version, architecture, source, _names(provides), _names(needs)))  # fmt: skip
    return parts


def _names(relations: str) -> tuple[str, ...]:
    """Return the names in a field such as "a (>= 1) | b, c:any"."""
    words = (it.strip().split(" ")[0].partition(":")[0] for it in re.split("[,|]", relations))
    return tuple(dict.fromkeys(word for word in words if word))


def licence_of(text: str) -> str:
    """Return the licences that a Debian copyright file names, "unknown" if it names none."""
    found = list(dict.fromkeys(it.strip() for it in _LICENCE.findall(text)))
    # Files of before the machine-readable format say where the text is.
    found = found or list(dict.fromkeys(_COMMON.findall(text)))
    more = [f"and {len(found) - LICENCES_MAX} more"] if len(found) > LICENCES_MAX else []
    return "; ".join(found[:LICENCES_MAX] + more) or UNKNOWN


def image_sbom(
    board: str, suite: str, version: str, parts: Sequence[DebianPart], agents: bytes
) -> bytes:
    """Return the image's SBOM.

    Args:
        board: the board's name.
        suite: Debian's release.
        version: the image's.
        parts: Debian's packages in it; the agent's own is described by ``agents``.
        agents: the SBOM of the agent's package, whose time the image's has.

    Raises:
        WireError: ``agents`` is no SBOM of ours.
    """
    own = parse_object(agents, SBOM_NAME)
    metadata = get_object(own, "metadata")
    agent = get_object(metadata, "component", path="metadata.")
    root = f"story-machine-{board}@{version}"
    debian = [it for it in parts if it.name != AGENT]
    refs = {it.name: it.ref(suite) for it in debian}
    by_name = {other: refs[it.name] for it in debian for other in it.provides} | refs
    needs = {refs[it.name]: _refs(it.needs, by_name, refs[it.name]) for it in debian}
    agent_ref = get_string(agent, "bom-ref")
    agent_needs = next((it.needs for it in parts if it.name == AGENT), ())
    inner = {str(it["ref"]): list(it["dependsOn"]) for it in _objects(own, "dependencies")}  # type: ignore[call-overload]  # lists of ours
    inner[agent_ref] = [*inner.get(agent_ref, []), *_refs(agent_needs, by_name, "")]
    needed = {ref for each in (*needs.values(), *inner.values()) for ref in each}
    tops = sorted({agent_ref, *refs.values()} - needed)
    return document(
        _time_of(metadata),
        metadata={"component": {
            "type": "operating-system", "bom-ref": root, "name": f"story-machine-{board}", "version": version,
            "purl": f"pkg:generic/story-machine-{board}@{version}",
        }},
        rest={
            "components": [dict(agent), *_objects(own, "components"), *(_component(it, suite) for it in debian)],
            "dependencies": [
                {"ref": root, "dependsOn": tops},
                *({"ref": ref, "dependsOn": each} for ref, each in {**inner, **needs}.items()),
            ],
        },
    )  # fmt: skip


def _refs(names: Iterable[str], by_name: Mapping[str, str], own: str) -> list[str]:
    return sorted({by_name[it] for it in names if it in by_name} - {own})


def _objects(source: Mapping[str, object], member: str) -> list[dict[str, object]]:
    found = source.get(member)
    if not isinstance(found, list) or not all(isinstance(it, dict) for it in found):
        raise FieldError(member, found, "a list of objects")
    return found


def _time_of(metadata: Mapping[str, object]) -> int:
    text = get_string(metadata, "timestamp", path="metadata.")
    try:
        return int(datetime.fromisoformat(text).astimezone(UTC).timestamp())
    except ValueError as error:
        raise FieldError("metadata.timestamp", text, "a time of ISO 8601") from error


def _component(part: DebianPart, suite: str) -> dict[str, object]:
    return {
        "type": "library",
        "bom-ref": part.ref(suite),
        "name": part.name,
        "version": part.version,
        "licenses": to_cyclonedx(part.licence),
        "purl": part.ref(suite),
        "properties": [
            {"name": ORIGIN, "value": BUNDLED},
            {"name": SOURCE, "value": part.source},
        ],
    }


def installed_parts(folder: Path) -> list[DebianPart]:
    """Return the Debian packages of the root in ``folder``; raises CalledProcessError."""
    words: Sequence[str] = ("dpkg-query", f"--admindir={folder}/var/lib/dpkg", "--show", _FORMAT)
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60)
    return [_licensed(it, folder) for it in read_packages(done.stdout)]


def _licensed(part: DebianPart, folder: Path) -> DebianPart:
    try:
        text = _copyright(folder, part.name).read_text("utf-8", "replace")
    except OSError:
        return part
    return DebianPart(part.name, part.version, part.architecture, part.source, part.provides, part.needs, licence_of(text))  # fmt: skip


def _copyright(folder: Path, name: str) -> Path:
    """Return a package's copyright file; its folder may be a link to another package's."""
    doc = folder / "usr/share/doc" / name
    return (doc.parent / doc.readlink().name if doc.is_symlink() else doc) / "copyright"


def add_list(folder: Path, board: str, suite: str, version: str) -> bytes:
    """Write the list into the root in ``folder``, and return it; raises OSError, WireError."""
    place = folder / PLACE
    try:
        data = image_sbom(board, suite, version, installed_parts(folder), place.read_bytes())
    except WireError as error:
        raise WireError(f"{place}: {error}") from error
    place.write_bytes(data)
    return data


def pack_copyrights(folder: Path) -> bytes:
    """Return a tar.gz of the root's copyright files and Debian's texts of common licences; the same for the same files."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:  # fmt: skip
        names = sorted(it.name for it in (folder / "usr/share/doc").iterdir())
        files = [(f"{it}/copyright", _copyright(folder, it)) for it in names]
        common = folder / "usr/share/common-licenses"
        files += [(f"common-licenses/{it.name}", it) for it in sorted(common.glob("*"))]
        for name, file in files:
            if file.is_file():
                data = file.read_bytes()
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()
