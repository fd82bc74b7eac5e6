"""Whether a release is what the signers signed, before the base install starts it (docs/adr/0045).

The agent writes STATE/slots, and the agent talks to the network: whoever takes it over could leave code there
that runs after the next restart too. So the installer keeps the package and its metadata beside a release, and
this module compares both with the root in /etc, which the agent's user cannot write. It needs the
metadata's library, which is imported here alone: `ota.launch.launch` uses the standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    # tuf.api.metadata's, which mypy sees only there
    from tuf.api._payload import Root, TargetFile, Targets
    from tuf.api.metadata import Metadata

# Beside release.json: the package, and the metadata by which it was installed.
SIGNED, PACKAGE, HISTORY = "signed", "package.tar.gz", "root_history"
# Holds the package's SHA-256: distinguishes an unpacked release from another build of the same version.
HASH_NAME = "package.json"
INFO_NAME, LIB, BYTECODE = "release.json", "lib", "__pycache__"


class NotSignedError(Exception):
    """A release is not what was signed; the message says what differs."""


def find_anchor(config: Path) -> Path | None:
    """Return the root that releases must be signed by, beside the settings; None: they are not checked."""
    anchor = config.parent / "root.json"
    return anchor if anchor.exists() else None


def keep_proof(folder: Path, package: Path, metadata: Path) -> None:
    """Put the package and the metadata that admitted it into a release's folder; raises OSError."""
    import shutil  # noqa: PLC0415  # no start needs it: see `_compare`

    proof = folder / SIGNED
    proof.mkdir()
    shutil.copyfile(package, proof / PACKAGE)
    for source in sorted(metadata.glob("*.json")):
        shutil.copyfile(source, proof / source.name)
    if (metadata / HISTORY).is_dir():
        shutil.copytree(metadata / HISTORY, proof / HISTORY, copy_function=shutil.copyfile)


def has_proof(folder: Path) -> bool:
    """Return whether a release's folder has what `find_fault` reads."""
    return (folder / SIGNED / PACKAGE).is_file()


def find_fault(folder: Path, version: str, anchor: Path) -> str | None:
    """Return why the release in ``folder`` must not start, or None if it is what was signed.

    Its bytecode is removed, because nobody signed it: Python makes it anew.

    Args:
        folder: the release's folder.
        version: its version.
        anchor: the TUF root that came with the machine.
    """
    try:
        _check(folder, version, anchor)
    except NotSignedError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001  # damaged files, or a damaged library: it does not start
        return f"its signatures cannot be checked: {type(error).__name__}: {error}"
    return None


def find_damage(folder: Path, version: str) -> str | None:
    """Return how a release differs from the package beside it, None if it does not or there is none to tell.

    For a machine without a root beside its settings, after an early death: no signature is asked for, and a
    package that is not the one that was installed tells nothing. Bytecode is removed as by `find_fault`.
    """
    package = folder / SIGNED / PACKAGE
    try:
        with package.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != json.loads((folder / HASH_NAME).read_bytes())["sha256"]:
            return None
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return find_difference(folder, version, package)


def find_difference(folder: Path, version: str, package: Path) -> str | None:
    """Return how a release's files differ from those of ``package``, None if they do not."""
    try:
        _compare(folder, version, package)
    except NotSignedError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001  # what cannot be read or parsed is damaged
        return f"its files cannot be read: {type(error).__name__}: {error}"
    return None


def _check(folder: Path, version: str, anchor: Path) -> None:
    package = folder / SIGNED / PACKAGE
    if not package.is_file():
        raise NotSignedError("no signed package lies beside it")
    with package.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    signed = [
        each for each in _signed_targets(package.parent, anchor) if _is(each, version, sha256)
    ]
    if not signed:
        raise NotSignedError("its package is in no metadata that the machine's root vouches for")
    if any(each.custom and "revoked" in each.custom for each in signed):
        raise NotSignedError("its package was revoked")
    _compare(folder, version, package)


def _is(target: TargetFile, version: str, sha256: str) -> bool:
    return target.path.endswith(f"/{version}.tar.gz") and target.hashes.get("sha256") == sha256


def _signed_targets(proof: Path, anchor: Path) -> list[TargetFile]:
    """Return the entries of all verified targets metadata; raises what the library raises."""
    from tuf.api.metadata import Metadata  # noqa: PLC0415  # the base install needs none

    root: Metadata[Root] = Metadata.from_bytes(anchor.read_bytes())
    while (data := _read(proof / HISTORY / f"{root.signed.version + 1}.root.json")) is not None:
        newer: Metadata[Root] = Metadata.from_bytes(data)
        for keys in (root, newer):
            keys.signed.verify_delegate("root", newer.signed_bytes, newer.signatures)
        if newer.signed.version != root.signed.version + 1:
            raise NotSignedError(
                f"root {root.signed.version + 1} is version {newer.signed.version}"
            )
        root = newer
    top: Metadata[Targets] = Metadata.from_bytes(_read(proof / "targets.json") or b"")
    root.signed.verify_delegate("targets", top.signed_bytes, top.signatures)
    found = list(top.signed.targets.values())
    for name in _delegated(top.signed):
        if (data := _read(proof / f"{quote(name, '')}.json")) is not None:
            found += _of_role(top.signed, name, data)
    return found


def _delegated(targets: Targets) -> list[str]:
    roles = targets.delegations.roles if targets.delegations else None
    return list(roles or {})


def _of_role(top: Targets, name: str, data: bytes) -> list[TargetFile]:
    """Return a product's own entries, as far as the role may sign them."""
    from tuf.api.metadata import Metadata  # noqa: PLC0415  # see _signed_targets

    role: Metadata[Targets] = Metadata.from_bytes(data)
    top.verify_delegate(name, role.signed_bytes, role.signatures)
    roles = top.delegations.roles if top.delegations else None
    allowed = (roles or {})[name]
    return [each for each in role.signed.targets.values() if allowed.is_delegated_path(each.path)]


def _compare(folder: Path, version: str, package: Path) -> None:
    """Compare a release's files with its package, of which every byte is signed."""
    import shutil  # noqa: PLC0415  # an idle agent has never compared anything: 0.8 MB
    import tarfile  # noqa: PLC0415

    wanted: set[str] = {LIB}
    with tarfile.open(package, "r:gz") as tar:
        for member in tar:
            stream = tar.extractfile(member)
            data = None if stream is None else stream.read()
            if member.name == INFO_NAME:
                _compare_info(folder / INFO_NAME, data or b"", version)
                continue
            path = Path(member.name)
            wanted.update(str(each) for each in (path, *path.parents))
            if data is not None and _read(folder / path) != data:
                raise NotSignedError(f"{member.name} is not the signed one")
    for found in list(_walk(folder / LIB)):
        name = str(found.relative_to(folder))
        if found.name == BYTECODE:
            shutil.rmtree(found)
        elif name not in wanted:
            raise NotSignedError(f"{name} was not signed")


def _compare_info(path: Path, data: bytes, version: str) -> None:
    """Compare release.json by its members: the installer writes those that it knows, some as 0."""
    signed, found = json.loads(data), json.loads(_read(path) or b"")
    if not isinstance(found, dict) or found.get("version") != version:
        raise NotSignedError(f"{INFO_NAME}: version is not the signed one")
    differing = [name for name in found if (found[name] or None) != (signed.get(name) or None)]
    if differing or signed["version"] != version:
        raise NotSignedError(
            f"{INFO_NAME}: {', '.join(differing) or 'version'} is not the signed one"
        )


def _read(path: Path) -> bytes | None:
    """Return a plain file's content, None for anything else."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            return file.read() if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def _walk(folder: Path) -> Iterator[Path]:
    """Return all that is below ``folder``; of bytecode's folders the folder alone.

    Raises:
        NotSignedError: there is a link: what it leads to might hold bytecode.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise NotSignedError(f"{folder.name} is no folder")
    for entry in os.scandir(folder):
        if entry.is_symlink():
            raise NotSignedError(f"{entry.name} is a link")
        yield Path(entry.path)
        if entry.is_dir(follow_symlinks=False) and entry.name != BYTECODE:
            yield from _walk(Path(entry.path))
