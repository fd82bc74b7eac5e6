"""``doctor --fix``: what can be mended without a question, and what was done.

Echo cancellation is loaded into the running PulseAudio at once, and its file is put where the server reads it at its next
start. PipeWire reads its file at its next start only.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from agent.doctor.echo import LOAD, MODULE, SINK, SOURCE, Echo
from agent.doctor.files import mend_profile
from agent.doctor.patient import Patient
from agent.doctor.sound import PROGRAM_SECONDS, look_for_echo
from agent.words import Words
from base.files import make_folder, write_atomically
from machine.errors import UnavailableError
from machine.mpv_options import build_environment
from machine.programs import run_program

RECIPES = Path(__file__).with_name("recipes")
PULSE_FOLDERS = (Path("/etc/pulse/default.pa.d"), Path("/etc/pulse/system.pa.d"))
PIPEWIRE_FOLDER = Path("/etc/pipewire/pipewire.conf.d")
PULSE_FILE, PIPEWIRE_FILE = "story-echo-cancel.pa", "story-echo-cancel.conf"


def recipe(name: str) -> str:
    """Return the text of a recipe that comes with this package."""
    return (RECIPES / name).read_text("utf-8")


async def mend(
    patient: Patient,
    pulse: tuple[Path, ...] = PULSE_FOLDERS,
    pipewire: Path = PIPEWIRE_FOLDER,
) -> list[Words]:
    """Mend what can be mended; return what was done or could not be."""
    done: list[Words] = []
    try:
        if (words := mend_profile(patient)) is not None:
            done.append(words)
        done += await _mend_echo(patient, pulse, pipewire)
    except (OSError, UnavailableError) as error:
        done.append(Words(f"没有改成：{error}", f"not mended: {error}"))
    return done


async def _mend_echo(patient: Patient, pulse: tuple[Path, ...], pipewire: Path) -> list[Words]:
    try:
        echo, source, sink = await look_for_echo(patient)
    except UnavailableError:
        return []
    if echo.is_loaded and not _must_reload(echo) and not echo.unused(source, sink):
        return []
    if "PipeWire" in await _pactl(patient, "info"):
        path = await asyncio.to_thread(_install, PIPEWIRE_FILE, pipewire)
        return [Words(f"写了 {path}；重启 pipewire 后生效", f"wrote {path}; restart pipewire")]
    folder = next((each for each in pulse if each.parent.is_dir()), pulse[0])
    path = await asyncio.to_thread(_install, PULSE_FILE, folder)
    await _load(patient, echo)
    return [Words(f"写了 {path}，并且已经生效", f"wrote {path}, and it is in force")]


def _install(name: str, folder: Path) -> Path:
    make_folder(folder)
    path = folder / name
    write_atomically(path, recipe(name).encode())
    return path


def _must_reload(echo: Echo) -> bool:
    return bool(echo.missing) or echo.makes_zeros


async def _load(patient: Patient, echo: Echo) -> None:
    reload = _must_reload(echo)
    if echo.is_loaded and reload:
        await _pactl(patient, "unload-module", MODULE)
    if not echo.is_loaded or reload:
        await _pactl(patient, "load-module", *LOAD)
        echo = Echo(True, (), SOURCE, SINK)
    await _pactl(patient, "set-default-source", echo.source)
    await _pactl(patient, "set-default-sink", echo.sink)


async def _pactl(patient: Patient, *words: str) -> str:
    pactl = shutil.which("pactl") or "pactl"
    return await run_program(
        [pactl, *words], PROGRAM_SECONDS, build_environment(patient.environment)
    )
