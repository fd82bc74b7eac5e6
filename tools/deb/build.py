"""One package from a recipe: lays the files out, describes them, and has dpkg-deb pack them.

The same tree, lock and time give the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

from ota.launch.running import SBOM_NAME
from release.build import write_lists
from release.parts import parts_in
from release.sbom import make_sbom
from release.support import FILE as SUPPORT_FILE
from release.support import check_day, with_day
from tools.deb.licences import copyright_text
from tools.deb.recipes import ROOT, Recipe
from tools.deb.tree import files_in, lay_out, settle, write_packed
from tools.manuals import day_of, write_all
from wire.errors import FieldError
from wire.ota import version_key

# Below /opt/NAME: the agent finds its own beside its code, and reports its digest.
SBOM_PLACES = {"story-agent": f"lib/common/{SBOM_NAME}", "story-cloud": "lib/common/sbom.cdx.json"}
SCRIPTS = ("preinst", "postinst", "prerm", "postrm")
# xz packs the cloud's 100 MB in 20 s of an idle core; a busy machine with few cores took more than 300 s.
DPKG_SECONDS = 1800


# The project has no address of its own, and nobody has this one (RFC 2606).
NO_ADDRESS = "nobody@story-agent.invalid"


class PackError(Exception):
    """dpkg-deb, or git, does not do what is asked; the message is its own."""


def maintainer() -> str:
    """Return who answers for the package: DEBFULLNAME and DEBEMAIL, as Debian's tools read them."""
    name = os.environ.get("DEBFULLNAME", "The story-agent authors")
    return f"{name} <{os.environ.get('DEBEMAIL', NO_ADDRESS)}>"


def project_version() -> str:
    """Return the tree's version, which is the packages' too; raises FieldError if no machine could take it."""
    version = str(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"])
    version_key(version, "project.version")
    return version


def source_epoch() -> int:
    """Return the time that all files get, Unix seconds: SOURCE_DATE_EPOCH, else the last commit's.

    Raises:
        FieldError: SOURCE_DATE_EPOCH is no number of seconds.
        PackError: there is neither that nor a commit.
    """
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not text:
        command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
        text = done.stdout.strip()
        if done.returncode or not text:
            raise PackError("no commit to take the time from: set SOURCE_DATE_EPOCH")
    if not re.fullmatch("[0-9]{1,12}", text):
        raise FieldError("SOURCE_DATE_EPOCH", text, "seconds since 1970")
    return int(text)


def build(
    recipe: Recipe,
    architecture: str,
    output: Path,
    *,
    wheels: Mapping[str, Sequence[Path]],
    own: Sequence[Path],
    epoch: int,
    support_end: str = "",
) -> Path:
    """Write ``output``/NAME_VERSION_ARCHITECTURE.deb and return its path.

    Args:
        recipe: which package.
        architecture: Debian's name of it.
        output: a folder that exists.
        wheels: for each Python, such as "3.13", the wheels that are bundled for it.
        own: the wheels of this tree.
        epoch: the time of all files, Unix seconds.
        support_end: the day until which it is supported, YYYY-MM-DD; empty: the tree's own (release.support).

    Raises:
        WheelError, PackError: a wheel or dpkg-deb is at fault.
        FieldError: ``support_end`` is no day after ``epoch``.
        OSError: a file is missing, or the disk.
    """
    version = project_version()
    target = output / f"{recipe.name}_{version}_{architecture}.deb"
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "root"
        lay_out(recipe, root, wheels, own)
        if support_end:
            common = root / recipe.opt / "lib" / "common"
            (common / SUPPORT_FILE).write_text(
                with_day(common, check_day(support_end, epoch)), "utf-8"
            )
        _document(recipe, root, version, epoch)
        sbom = package_sbom(recipe, root, version, epoch)
        place = root / recipe.opt / SBOM_PLACES[recipe.name]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(sbom)
        size = settle(root, epoch)
        _describe(
            recipe, root, {"VERSION": version, "ARCHITECTURE": architecture, "SIZE": str(size)}
        )
        settle(root / "DEBIAN", epoch)
        _pack(root, Path(scratch) / "deb", epoch)
        shutil.move(Path(scratch) / "deb", target)
    write_lists(target, sbom, epoch)
    return target


def package_sbom(recipe: Recipe, root: Path, version: str, epoch: int) -> bytes:
    """Return the list of the parts that a package bundles, in the shape of a release's (docs/sbom.md)."""
    lib = root / recipe.opt / "lib"
    own = {"story-agent", "story-cloud"}
    parts = [
        part
        for part in parts_in([lib / "common", *sorted(lib.glob("python*/site-packages"))])
        if part.name not in own
    ]
    needed = {name for part in parts for name in part.needs}
    return make_sbom(recipe.name, version, parts, {it.name for it in parts} - needed, epoch)


def _document(recipe: Recipe, root: Path, version: str, epoch: int) -> None:
    doc = root / "usr/share/doc" / recipe.name
    doc.mkdir(parents=True, exist_ok=True)
    (doc / "copyright").write_text(copyright_text(recipe.name, root), "utf-8")
    (doc / "copyright").chmod(0o644)
    write_packed(changelog(recipe.name, version, epoch), doc / "changelog.gz")
    write_packed((ROOT / "CHANGELOG.md").read_text("utf-8"), doc / "NEWS.md.gz")
    _write_manuals(recipe, root, epoch)
    overrides = recipe.folder / "lintian-overrides"
    if overrides.exists():
        place = root / "usr/share/lintian/overrides" / recipe.name
        place.parent.mkdir(parents=True)
        shutil.copyfile(overrides, place)
        place.chmod(0o644)


def _write_manuals(recipe: Recipe, root: Path, epoch: int) -> None:
    """Add the programs' man pages, gzipped as policy wants them, and completions."""
    for path in write_all(root / "usr/share", day_of(epoch), recipe.programs):
        if "man" in path.relative_to(root / "usr/share").parts:
            write_packed(path.read_text("utf-8"), path.with_name(f"{path.name}.gz"))
            path.unlink()


def changelog(name: str, version: str, epoch: int) -> str:
    """Return Debian's changelog of one entry; what changed for a user is in NEWS.md.gz."""
    day = format_datetime(datetime.fromtimestamp(epoch, UTC))
    return (
        f"{name} ({version}) stable; urgency=medium\n\n"
        f"  * Release {version}; NEWS.md.gz says what changed.\n\n -- {maintainer()}  {day}\n"
    )


def _describe(recipe: Recipe, root: Path, values: Mapping[str, str]) -> None:
    """Write DEBIAN/: control fields, scripts, checksums, and which files are the owner's to change."""
    folder = root / "DEBIAN"
    folder.mkdir()
    control = (recipe.folder / "control").read_text("utf-8")
    for name, value in values.items() | {("MAINTAINER", maintainer())}:
        control = control.replace(f"@{name}@", value)
    (folder / "control").write_text(control, "utf-8")
    for name in (*SCRIPTS, "triggers"):
        source = recipe.folder / name
        if source.exists():
            shutil.copyfile(source, folder / name)
            (folder / name).chmod(0o755 if name in SCRIPTS else 0o644)
    packed = [path for path in files_in(root) if folder not in path.parents]
    names = {path: path.relative_to(root).as_posix() for path in packed}
    settings = [f"/{name}\n" for name in names.values() if name.startswith("etc/")]
    if settings:
        (folder / "conffiles").write_text("".join(settings), "utf-8")
    sums = [f"{_md5(path)}  {name}\n" for path, name in names.items()]
    (folder / "md5sums").write_text("".join(sums), "utf-8")


def _md5(path: Path) -> str:
    """Return what `dpkg --verify` compares: it finds damage, and is no protection."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _pack(root: Path, target: Path, epoch: int) -> None:
    command = ["dpkg-deb", "--root-owner-group", "-Zxz", "--threads-max=1", "--build"]
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(epoch), "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            [*command, str(root), str(target)],
            check=False, capture_output=True, text=True, timeout=DPKG_SECONDS, env=environment,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise PackError("there is no dpkg-deb here: apt-get install dpkg") from error
    except subprocess.TimeoutExpired as error:
        raise PackError(f"dpkg-deb did not finish within {DPKG_SECONDS} s") from error
    if done.returncode:
        raise PackError(done.stderr.strip())
