"""The lock files: every bundled wheel with its version and the hashes of its files.

``python -m tools.deb.lock [PACKAGE …]`` makes them anew, from tools/constraints.txt by way of what is installed
in .venv, and asks the package index for the files of each architecture. `make deb` takes nothing else:
pip refuses a file whose hash is not here.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.deb.recipes import BY_NAME, MACHINES, PYTHONS, ROOT, Recipe
from tools.deb.wheels import WheelError, download

# Ours are built from the tree.
OWN = {"story-agent", "story-cloud"}
_PIN = re.compile(r"([a-z0-9-]+)==([0-9A-Za-z.+!]+)((?: --hash=sha256:[0-9a-f]{64})+)")


def read_pins(lock: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """Return the version and SHA-256 digests of each distribution in ``lock``.

    Raises:
        WheelError: a line is not ``name==version --hash=sha256:DIGEST …``.
        OSError: the file cannot be read.
    """
    pins = {}
    for number, line in enumerate(lock.read_text("utf-8").splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        if not (found := _PIN.fullmatch(line)):
            expected = "name==version --hash=sha256:DIGEST"
            raise WheelError(f"{lock}:{number}: got {line[:80]!r}, expected {expected}")
        pins[found[1]] = found[2], frozenset(re.findall("[0-9a-f]{64}", found[3]))
    return pins


def bundled(recipe: Recipe, python: str, machine: str) -> dict[str, str]:
    """Return name and installed version of all that a package bundles for another machine."""
    needed = closure(recipe.wants, python, machine)
    return {name: version for name, version in needed.items() if name not in recipe.left_out}


def closure(wants: Iterable[str], python: str, machine: str) -> dict[str, str]:
    """Return name and installed version of all that ``wants`` need on another machine, without ours."""
    environment = {key: str(value) for key, value in default_environment().items()} | {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_machine": machine,
    }
    seen: set[tuple[str, str]] = set()
    found: dict[str, str] = {}
    waiting = [Requirement(text) for text in wants]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name not in OWN:
            found[name] = importlib.metadata.version(name)
        for extra in ("", *wanted.extras):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            waiting += [
                needed
                for needed in map(Requirement, _requires(name, extra))
                if needed.marker is None or needed.marker.evaluate(environment | {"extra": extra})
            ]
    return dict(sorted(found.items()))


def _requires(name: str, extra: str) -> Sequence[str]:
    """Return a distribution's requirements: ours from the tree, which may be newer than .venv."""
    if name not in OWN:
        return importlib.metadata.requires(name) or ()
    folder = ROOT if name == "story-agent" else ROOT / "cloud"
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    if extra:
        return project["project"]["optional-dependencies"][extra]  # type: ignore[no-any-return]
    listed = project["project"].get("dependencies")
    return listed or project["tool"]["hatch"]["metadata"]["hooks"]["custom"]["dependencies"]  # type: ignore[no-any-return]


def make_lock(recipe: Recipe, python: str, machines: Sequence[str] = tuple(MACHINES)) -> str:
    """Return the text of a lock file, from the package index; raises WheelError."""
    pins: dict[str, str] = {}
    digests: dict[str, set[str]] = {}
    for architecture in machines:
        found = bundled(recipe, python, MACHINES[architecture])
        pins |= found
        with tempfile.TemporaryDirectory() as folder:
            lines = [f"{name}=={version}" for name, version in found.items()]
            for wheel in download(lines, Path(folder), python, architecture):
                name = canonicalize_name(wheel.name.partition("-")[0])
                digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
                digests.setdefault(name, set()).add(digest)
    lines = [
        " ".join(
            [f"{name}=={pins[name]}", *(f"--hash=sha256:{it}" for it in sorted(digests[name]))]
        )
        for name in sorted(pins)
    ]
    head = "# Made by `python -m tools.deb.lock`, from tools/constraints.txt. Wheels of all architectures."
    return "\n".join([head, *lines, ""])


def main() -> int:
    """Write the lock files of the packages that are named, or of all."""
    for recipe in (BY_NAME[name] for name in sys.argv[1:] or BY_NAME):
        for python in PYTHONS:
            try:
                text = make_lock(recipe, python)
            except WheelError as error:
                print(f"lock: {error}", file=sys.stderr)
                return 1
            recipe.lock(python).write_text(text, "utf-8")
            print(recipe.lock(python))
    return 0


if __name__ == "__main__":
    sys.exit(main())
