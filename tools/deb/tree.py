"""A package's files, laid out in a folder: a venv's shape that is Debian's Python of either release.

``/opt/NAME/bin/python3`` is a link to the system's Python, and ``pyvenv.cfg`` makes it a venv without pip. Wheels
that serve both Pythons are in ``lib/common``, which a .pth file of each ``lib/pythonX.Y/site-packages`` names;
compiled ones are in the latter. It names a folder of /usr/local too, for what an administrator adds by pip. A release of the updater's starts with this interpreter, so that it finds
the dependencies as in any venv (docs/launcher.md).
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tools.deb.recipes import ROOT, Recipe
from tools.deb.wheels import unpack

PYVENV = "home = /usr/bin\ninclude-system-site-packages = false\n"
PROGRAM = "#!/{opt}/bin/python3 -P\nimport sys\n\nfrom {module} import {function}\n\nsys.exit({function}())\n"


def lay_out(
    recipe: Recipe, folder: Path, wheels: Mapping[str, Sequence[Path]], own: Sequence[Path]
) -> None:
    """Write all files but the ones that describe the package.

    Args:
        recipe: what goes where.
        folder: the package's root; must not exist.
        wheels: for each Python, such as "3.13", the wheels that are bundled for it.
        own: the wheels of this tree.

    Raises:
        WheelError: a wheel cannot be unpacked.
        OSError: a file of the tree is missing, or the disk.
    """
    opt = folder / recipe.opt
    common = opt / "lib" / "common"
    for wheel in own:
        unpack(wheel, common)
    for python, group in wheels.items():
        site = opt / "lib" / f"python{python}" / "site-packages"
        site.mkdir(parents=True)
        more = f"/usr/local/lib/{recipe.name}/python{python}"
        (site / "common.pth").write_text(f"../../common\n{more}\n", "utf-8")
        for wheel in group:
            if all(_has(others, wheel) for others in wheels.values()):
                unpack(wheel, common)
            else:
                unpack(wheel, site)
    _drop_others(recipe.only, opt / "lib")
    link_twins(opt / "lib")
    _lay_out_programs(recipe, folder)
    for source, place in recipe.files:
        _copy(ROOT / source, folder / place)


def _has(wheels: Sequence[Path], wanted: Path) -> bool:
    return any(wheel.name == wanted.name for wheel in wheels)


def _drop_others(only: Mapping[str, frozenset[str]], folder: Path) -> None:
    """Remove what a package may not have of a wheel's folder, in whichever import folder that is."""
    for name, kept in only.items():
        for path in folder.rglob(f"{name}/*"):
            if path.name not in kept:
                path.unlink()


def link_twins(folder: Path) -> None:
    """Make links of shared libraries that lie beside one of the same bytes: a wheel cannot have links."""
    kept: dict[tuple[Path, str], Path] = {}
    for path in files_in(folder):
        if ".so" in path.suffixes:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            first = kept.setdefault((path.parent, digest), path)
            if first != path:
                path.unlink()
                path.symlink_to(first.name)


def _lay_out_programs(recipe: Recipe, folder: Path) -> None:
    opt = folder / recipe.opt
    (opt / "pyvenv.cfg").write_text(PYVENV, "utf-8")
    (opt / "bin").mkdir()
    (opt / "bin" / "python3").symlink_to("/usr/bin/python3")
    links = folder / "usr" / "bin"
    links.mkdir(parents=True)
    for name, call in recipe.programs.items():
        module, _, function = call.partition(":")
        program = opt / "bin" / name
        program.write_text(
            PROGRAM.format(opt=recipe.opt, module=module, function=function), "utf-8"
        )
        program.chmod(0o755)
        (links / name).symlink_to(f"/{recipe.opt}/bin/{name}")


def _copy(source: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, place)
    place.chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)


def write_packed(text: str, place: Path) -> None:
    """Write ``text`` gzipped, as policy wants changelogs; the same text gives the same bytes."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(gzip.compress(text.encode(), mtime=0))
    place.chmod(0o644)


def files_in(folder: Path) -> Iterator[Path]:
    """Return plain files below ``folder`` in a fixed order; no links."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path


def settle(folder: Path, epoch: int) -> int:
    """Give everything a plain mode and the time ``epoch`` (Unix seconds); return its KiB.

    The size is counted as policy 5.6.20 says: files in whole KiB, 1 KiB for anything else.
    """
    size = 0
    for path in sorted(folder.rglob("*"), reverse=True):
        plain = path.is_file() and not path.is_symlink()
        size += -(-path.stat().st_size // 1024) if plain else 1
        if not path.is_symlink():  # whatever the builder's umask is
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)
    folder.chmod(0o755)
    os.utime(folder, (epoch, epoch))
    return size
