"""Of which distributions a package is: their names, versions, licences, and what needs what."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path

from release.errors import ReleaseToolError
from release.licences import licence_name

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


@dataclass(frozen=True, slots=True)
class Part:
    """A distribution.

    Attributes:
        name: as the package index compares names (PEP 503).
        licence: a short name, such as "MIT".
        needs: the names of the parts that it needs.
        bundled: whether the package brings it; otherwise it was built against it.
    """

    name: str
    version: str
    licence: str
    needs: tuple[str, ...] = ()
    bundled: bool = True


def canonical(name: str) -> str:
    """Return a distribution's name as the package index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed_parts(wants: Iterable[str], *, bundled: bool = False) -> list[Part]:
    """Return what ``wants`` (lines of requirements) need altogether, as it is installed here.

    Which markers hold is not computed: what another platform needs is not installed here, and so
    is left out.

    Raises:
        ReleaseToolError: one of ``wants`` itself is not installed.
    """
    found: dict[tuple[str, str], Distribution] = {}
    waiting = [(line, True) for line in wants]
    while waiting:
        line, is_direct = waiting.pop()
        name, extras = read_requirement(line)
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError as error:
            if is_direct:
                text = f"{name}: not installed here, so its version is not known"
                raise ReleaseToolError(text) from error
            continue
        for extra in ("", *extras):
            if (name, extra) not in found:
                found[name, extra] = distribution
                waiting += [(need, False) for need in _needs(distribution, extra)]
    unique = {name: it for (name, _), it in found.items()}
    return _to_parts(unique.values(), bundled=bundled)


def parts_in(folders: Iterable[Path]) -> list[Part]:
    """Return the distributions that lie in ``folders``: they are bundled."""
    paths = [str(folder) for folder in folders]
    return _to_parts(importlib.metadata.distributions(path=paths), bundled=True)


def read_requirement(line: str) -> tuple[str, Sequence[str]]:
    """Return the name and the extras of a requirement; raises ReleaseToolError if it is none."""
    found = _REQUIREMENT.match(line)
    if found is None:
        raise ReleaseToolError(f"{line[:80]!r}: not a requirement, expected NAME[EXTRA]>=VERSION")
    extras = [word.strip() for word in (found[2] or "").split(",") if word.strip()]
    return canonical(found[1]), extras


def _needs(distribution: Distribution, extra: str) -> list[str]:
    """Return the requirements of an extra; "": the ones without any."""
    lines = distribution.requires or []
    wanted = {extra} if extra else set()
    return [line for line in lines if set(_EXTRA.findall(line)) == wanted]


def _to_parts(distributions: Iterable[Distribution], *, bundled: bool) -> list[Part]:
    """Return the parts, once for each version of them: a package may serve two Pythons."""
    found = {(canonical(it.metadata["Name"]), it.version): it for it in distributions}
    names = {name for name, _ in found}
    parts = []
    for (name, version), distribution in sorted(found.items()):
        needs = {read_requirement(line)[0] for line in distribution.requires or []} & names
        licence = licence_name(distribution.metadata)  # type: ignore[arg-type]  # a Message in all versions
        parts.append(Part(name, version, licence, tuple(sorted(needs - {name})), bundled))
    return parts
