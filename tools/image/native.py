"""This machine's programs in a root of another processor, for as long as packages are installed in it.

    python -m tools.image.native lend|return ROOT

Every program of such a root runs under QEMU's user emulation, many times slower. Most of an installation is unpacking,
shell, coreutils and perl, whose results are the same on any processor: of these the root gets this machine's, and its own
back before anything looks at them. What tells the processor (uname, dpkg itself, python3) stays the root's.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

PROGRAMS = (
    "bash", "dash", "dpkg-deb", "dpkg-split", "find", "grep", "gzip", "mawk", "perl", "sed", "tar", "xargs",
    "[", "basename", "cat", "chgrp", "chmod", "chown", "cp", "cut", "date", "dirname", "echo", "env", "expr", "false", "head", "id",
    "install", "ln", "ls", "md5sum", "mkdir", "mktemp", "mv", "printf", "readlink", "realpath", "rm", "rmdir", "sha256sum", "sort",
    "stat", "tail", "tee", "test", "touch", "tr", "true", "uniq", "wc",
)  # fmt: skip
# Where the root's own programs lie meanwhile, and what was added, a path a line.
# ELF's number of each processor, by Debian's name.
PROCESSORS = {"amd64": 62, "arm64": 183}
AWAY = Path("lent-by-the-host")
ADDED = "added.txt"
LIBRARY_SECONDS = 60


def is_foreign(program: Path, example: Path = Path(sys.executable)) -> bool:
    """Return whether ``program`` is an ELF file of another machine than ``example``."""
    heads = [_head(program), _head(example)]
    return all(it.startswith(b"\x7fELF") for it in heads) and heads[0][18:] != heads[1][18:]


def strays(root: Path, architecture: str) -> list[Path]:
    """Return the programs and libraries below ``root`` that are for another processor than the root's."""
    wrong = {
        number.to_bytes(2, "little") for name, number in PROCESSORS.items() if name != architecture
    }
    files = (Path(folder, name) for folder, _, names in os.walk(root) for name in names)
    heads = ((path, _head(path)) for path in files if _is_plain(path))
    return sorted(
        path.relative_to(root)
        for path, head in heads
        if head.startswith(b"\x7fELF") and head[18:] in wrong
    )


def _head(path: Path) -> bytes:
    """Return what an ELF file begins with; its last two bytes name the processor."""
    with path.open("rb") as file:
        return file.read(20)


def lend(root: Path, programs: Sequence[str] = PROGRAMS) -> list[str]:
    """Put this machine's ``programs`` in the place of the root's that are of another one; return those lent.

    It may be called again after packages have brought the root's own back.
    """
    away = root / AWAY
    (away / "bin").mkdir(parents=True, exist_ok=True)
    lent = []
    for name in programs:
        there, mine = root / "usr/bin" / name, Path("/usr/bin", name)
        if _is_plain(there) and _is_plain(mine) and is_foreign(there) and _same_perl(root, name):
            there.replace(away / "bin" / name)
            shutil.copy(mine, there)
            lent.append(name)
    _add(root, [path for name in lent for path in _needed(Path("/usr/bin", name))])
    return lent


def give_back(root: Path) -> None:
    """Undo `lend`."""
    away = root / AWAY
    if not away.exists():
        return
    for own in (away / "bin").iterdir():
        own.replace(root / "usr/bin" / own.name)
    record = away / ADDED
    for line in reversed(record.read_text("utf-8").splitlines() if record.exists() else []):
        path = root / line
        if path.is_dir() and not path.is_symlink():
            # A folder that a package has put something in stays.
            with contextlib.suppress(OSError):
                path.rmdir()
        else:
            path.unlink(missing_ok=True)
    shutil.rmtree(away)


@contextlib.contextmanager
def lent(root: Path) -> Iterator[None]:
    """Have this machine's programs in a root of another processor."""
    lend(root)
    try:
        yield
    finally:
        give_back(root)


def hooks(python: str = sys.executable) -> list[str]:
    """Return mmdebstrap's options: lent once the essential packages are installed; before, /usr is not merged yet."""
    tree = Path(__file__).parents[2]
    command = f'cd "{tree}" && "{python}" -m tools.image.native {{}} "$1"'
    acts = (("essential", "lend"), ("customize", "return"))
    return [f"--{when}-hook={command.format(what)}" for when, what in acts]


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _same_perl(root: Path, name: str) -> bool:
    """Return whether a program's own files are the root's: perl reads libraries of its very version."""
    if name != "perl":
        return True
    versions = [
        {it.name for it in (base / "usr/bin").glob("perl5.*") if "-" not in it.name}
        for base in (root, Path("/"))
    ]
    return versions[0] == versions[1] != set()


def _needed(program: Path) -> list[Path]:
    """Return the libraries and the loader of a program, and perl's modules."""
    done = subprocess.run(["ldd", str(program)], check=False, capture_output=True, text=True, timeout=LIBRARY_SECONDS)  # fmt: skip
    found = [Path(it) for it in re.findall(r"(?:=> |^\s*)(/\S+) \(0x", done.stdout, re.MULTILINE)]
    if program.name == "perl":
        found += [it for it in Path("/usr/lib").glob("*/perl-base/**/*") if it.is_file()]
    return found


def _add(root: Path, files: Sequence[Path]) -> None:
    """Copy files to their own paths below the root, and record what is new there."""
    with (root / AWAY / ADDED).open("a", encoding="utf-8") as record:
        for file in dict.fromkeys(files):
            # As the loader looks for it: /lib is a link in every root of Debian 12 and later.
            place = Path(os.path.normpath(file)).relative_to("/")
            for folder in reversed(place.parents):
                if not os.path.lexists(root / folder):
                    (root / folder).mkdir()
                    record.write(f"{folder}\n")
            if not os.path.lexists(root / place):
                shutil.copy(file, root / place)
                record.write(f"{place}\n")


def main() -> int:
    """Lend or give back; 2 for other words."""
    match sys.argv[1:]:
        case ["lend", root]:
            lend(Path(root))
        case ["return", root]:
            give_back(Path(root))
        case words:
            print(
                f"native: got {words}, expected lend ROOT or return ROOT", file=sys.stderr
            )  # mmdebstrap's hooks call it
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
