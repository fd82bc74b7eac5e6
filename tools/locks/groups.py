"""Who needs which pin: the requirements of machines, the cloud and the tests, and what each of them needs in turn.

Read from the project files and from the metadata of what is installed in .venv; nothing is asked of a network.
"""

from __future__ import annotations

import functools
import importlib.metadata
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "tools" / "constraints.txt"
# What `make docs` builds the site with, in a .venv of its own.
SITE_PINS = ROOT / "tools" / "site-requirements.txt"
FOLDER = Path(__file__).parent
# Ours are built from the tree.
OWN = {"story-agent", "story-cloud"}


@dataclass(frozen=True, slots=True)
class Slot:
    """A Python, such as "3.13", on a machine, by Python's name of it."""

    python: str
    machine: str


# Those of Debian 12 and Debian 13.
PYTHONS = ("3.11", "3.13")
MACHINES = ("x86_64", "aarch64")
SLOTS = tuple(Slot(python, machine) for python in PYTHONS for machine in MACHINES)

# Each file has what the ones before it have not. `make run` installs the first two, `make test` the third as well.
GROUPS: dict[str, tuple[str, ...]] = {
    "device": ("story-agent[mdns,mqtt,oscore,qr,vad]",),
    # hatchling puts the project itself into .venv; pypinyin reads the tour's sentence to espeak-ng.
    "cloud": ("story-cloud", "hatchling", "pypinyin"),
    "test": ("story-agent[dev,gpio,mic,wake]", "story-cloud[hsm]"),
}
# What is pinned beyond these: the speech models of story-cloud[asr], which `make test` keeps in build/asr, for their own tests.
REST = "asr"
SITE = "site"
# Without a wheel on the index: built with the pinned setuptools, once that is installed.
SOURCE = "source"
WITHOUT_WHEEL = frozenset({"forbiddenfruit", "sdnotify"})


class LockError(Exception):
    """A pin, or a file of one, is missing or wrong; the message says which."""


def read_constraints(file: Path = CONSTRAINTS) -> dict[str, str]:
    """Return the pinned version of each distribution, by canonical name.

    Raises:
        LockError: a line is not ``name==version``.
        OSError: the file cannot be read.
    """
    pins: dict[str, str] = {}
    for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        if not (found := re.fullmatch(r"([A-Za-z0-9._-]+)==([0-9A-Za-z.+!]+)", line)):
            raise LockError(f"{file}:{number}: got {line[:80]!r}, expected name==version")
        pins[canonicalize_name(found[1])] = found[2]
    return pins


def needed(slot: Slot) -> dict[str, str]:
    """Return the group of each distribution that is pinned and needed in ``slot``, by canonical name."""
    found: dict[str, str] = {}
    for group, wants in GROUPS.items():
        for name in closure(wants, slot.python, slot.machine):
            found.setdefault(name, SOURCE if name in WITHOUT_WHEEL else group)
    everywhere = {
        name
        for wants in GROUPS.values()
        for each in SLOTS
        for name in closure(wants, each.python, each.machine)
    }
    return found | dict.fromkeys(read_constraints().keys() - everywhere, REST)


@functools.cache
def closure(wants: tuple[str, ...], python: str, machine: str) -> frozenset[str]:
    """Return the names of all that ``wants`` need for a Python on a machine, without ours.

    Raises:
        LockError: one of them is not installed here, so that nobody knows what it needs.
    """
    environment = {key: str(value) for key, value in default_environment().items()} | {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_machine": machine,
    }
    seen: set[tuple[str, str]] = set()
    waiting = [Requirement(text) for text in wants]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        for extra in ("", *wanted.extras):
            if (name, extra) not in seen:
                seen.add((name, extra))
                waiting += [
                    it
                    for it in _requires(name, extra)
                    if it.marker is None or it.marker.evaluate(environment | {"extra": extra})
                ]
    return frozenset(name for name, _ in seen) - OWN


@functools.cache
def _requires(name: str, extra: str) -> Sequence[Requirement]:
    """Return a distribution's requirements: ours from the tree, which may be newer than .venv."""
    if name in OWN:
        return [Requirement(text) for text in _own_requires(name, extra)]
    try:
        return [Requirement(text) for text in importlib.metadata.requires(name) or ()]
    except importlib.metadata.PackageNotFoundError as error:
        raise LockError(
            f"{name}: not installed in .venv, so that nobody knows what it needs"
        ) from error


def _own_requires(name: str, extra: str) -> Iterable[str]:
    folder = ROOT if name == "story-agent" else ROOT / "cloud"
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    if extra:
        return list(project["project"]["optional-dependencies"][extra])
    listed = project["project"].get("dependencies")
    return list(listed or project["tool"]["hatch"]["metadata"]["hooks"]["custom"]["dependencies"])
