"""``make deb``: the Debian packages of this tree, for amd64 and arm64, into build/deb.

    python -m tools.deb [--output DIR] [--only NAME] [--architecture amd64|arm64]

Wheels are fetched once into build/wheels, and only those whose hashes are in systemd/deb/locks. SUPPORT_END=DAY is the day
until which the packages are supported (release.support).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
from pathlib import Path

from release.errors import ReleaseToolError
from release.support import VARIABLE, check_day, is_short, read_day
from tools.deb.build import NO_ADDRESS, PackError, build, maintainer, source_epoch
from tools.deb.recipes import AGENT, BY_NAME, MACHINES, PYTHONS, ROOT, Recipe
from tools.deb.wheels import WheelError, build_own, download
from tools.locks.files import read_pins
from tools.locks.groups import LockError
from wire.errors import WireError


def main() -> int:
    """Build the packages and print one line for each; 1 if one cannot be built."""
    options = _options()
    options.output.mkdir(parents=True, exist_ok=True)
    try:
        epoch = source_epoch()
        day = os.environ.get(VARIABLE, "")
        promised = check_day(day or read_day(ROOT), epoch)
        with tempfile.TemporaryDirectory() as folder:
            for number, recipe in enumerate(BY_NAME[name] for name in options.only):
                own = build_own(recipe.own, Path(folder) / str(number))
                for architecture in _architectures(recipe, options.architecture):
                    wheels = {it: fetch(recipe, it, architecture) for it in PYTHONS}
                    deb = build(
                        recipe, architecture, options.output,
                        wheels=wheels, own=own, epoch=epoch, support_end=day,
                    )  # fmt: skip
                    print(f"{deb} {deb.stat().st_size} bytes")
        print(
            f"deb: supported until {promised}, {'by' if day else 'as the tree has it without'} {VARIABLE}"
        )
        if is_short(promised, epoch):
            print(
                f"deb: {promised} is less than five years from now (docs/doctor.md)",
                file=sys.stderr,
            )
        if NO_ADDRESS in maintainer():
            note = "nobody answers for these packages: set DEBFULLNAME and DEBEMAIL before you publish them"
            print(f"deb: {note}", file=sys.stderr)
    except (WheelError, PackError, LockError, ReleaseToolError, WireError) as error:
        print(f"deb: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"deb: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make deb", description="Build the Debian packages.")
    parser.add_argument("--output", type=Path, default=ROOT / "build/deb", metavar="DIR")
    parser.add_argument("--only", nargs="+", default=list(BY_NAME), choices=list(BY_NAME))
    parser.add_argument("--architecture", nargs="+", default=[], choices=list(MACHINES))
    return parser.parse_args()


def _architectures(recipe: Recipe, wanted: list[str]) -> list[str]:
    """Return those asked for; a cloud is by default for amd64 alone."""
    return wanted or (list(MACHINES) if recipe is AGENT else ["amd64"])


def fetch(recipe: Recipe, python: str, architecture: str) -> list[Path]:
    """Return the wheels that the lock names, from build/wheels or the package index; raises WheelError, LockError."""
    lock = recipe.lock(python)
    folder = ROOT / "build/wheels" / f"{recipe.name}-{python}-{architecture}"
    pins = read_pins(lock)
    wanted = {digest for pin in pins.values() for digest in pin.digests}
    if not (folder / ".complete").exists() or _odd(folder, wanted, len(pins)):
        for wheel in folder.glob("*.whl"):
            wheel.unlink()
        download(lock.read_text("utf-8").splitlines(), folder, python, architecture)
        (folder / ".complete").touch()
    if odd := _odd(folder, wanted, len(pins)):
        raise WheelError(f"{folder}: {odd}")
    return sorted(folder.glob("*.whl"))


def _odd(folder: Path, wanted: set[str], count: int) -> str | None:
    """Return what is wrong with a folder of wheels, or None."""
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != count:
        return f"{len(wheels)} wheels, expected {count}"
    for wheel in wheels:
        if hashlib.sha256(wheel.read_bytes()).hexdigest() not in wanted:
            return f"{wheel.name}: its hash is not in the lock"
    return None


if __name__ == "__main__":
    sys.exit(main())
