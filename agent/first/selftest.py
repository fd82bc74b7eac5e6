"""``story-agent selftest``: what a factory station looks at before a machine is packed.

Each part is one finding, as the doctor's: sound by the microphone, buttons by a hand, network, storage, battery.
"""

from __future__ import annotations

import argparse
import array
import asyncio
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

from agent.doctor.cloud import check_cloud, check_network
from agent.doctor.findings import Finding, Level, bad, good, hint, skipped
from agent.doctor.patient import Patient, look_at
from agent.exits import EX_FAILED, EX_OK
from agent.first.press import ask_for_buttons
from agent.words import EN, Words, say, spoken
from base.threads import in_thread
from machine.capture_back_ends import find_back_end
from machine.chime import NOTES, RATE, write_chime
from machine.cue_player import ProgramCuePlayer
from machine.errors import UnavailableError
from machine.light import find_light
from machine.microphone import MicrophoneError, Recording
from ota.launch.running import running_version
from resources.energy.build import build_battery
from wire.records import dataclass

# Blocks of 20 ms: a second of the room, then the chime and what a sound server is late by.
ROOM_BLOCKS, CHIME_BLOCKS = 50, 120
# Seconds for the whole of it: a card that sleeps, a server that starts.
SOUND_SECONDS = 20.0
# Hertz: around the chime's notes, and none of their harmonics.
BESIDE = (430.0, 540.0, 720.0, 860.0, 950.0, 1100.0)
# By so much the chime's notes must stand out of the room: a speaker 5 cm beside the microphone gives 30.
RISE_DB = 10.0
# Bytes written and read back; megabytes a second below which a card is slow, or no good (class 10 writes 10).
STORAGE_BYTES = 8 * 2**20
SLOW_MB, BAD_MB = 10.0, 2.0


def rise(room: bytes, during: bytes) -> float:
    """Return by how many dB the chime's notes stand out: of the room before, and of what sounds beside them.

    Both are 16-bit samples at `RATE` a second; each is judged in windows of a fifth of a second. The
    lesser of the two counts: a bang is louder than the room at all frequencies, a fan hums on before.
    """
    usual = sorted(notes for notes, _ in _powers(room))
    quiet = usual[len(usual) // 2] if usual else 0.0
    # A room without any noise at all: half a step of the converter.
    found = [notes / max(quiet, beside, 0.25) for notes, beside in _powers(during)]
    return 10 * math.log10(max(found, default=0.0) or 1e-12)


def _powers(samples: bytes) -> list[tuple[float, float]]:
    """Return for each window the mean power of the notes, and of frequencies beside them."""
    values = array.array("h", samples[: len(samples) // 2 * 2])
    if sys.byteorder == "big":
        values.byteswap()
    window = RATE // 5
    windows = [values[at : at + window] for at in range(0, len(values) - window + 1, window // 2)]
    return [(_mean(part, [hertz for hertz, _ in NOTES]), _mean(part, BESIDE)) for part in windows]


def _mean(values: Sequence[int], frequencies: Sequence[float]) -> float:
    return sum(_goertzel(values, hertz) for hertz in frequencies) / len(frequencies)


def _goertzel(values: Sequence[int], hertz: float) -> float:
    """Return the mean power of one frequency."""
    factor = 2 * math.cos(2 * math.pi * hertz / RATE)
    before, last = 0.0, 0.0
    for value in values:
        before, last = last, value + factor * last - before
    return (before * before + last * last - factor * before * last) / len(values)


async def check_sound(patient: Patient) -> Finding:
    """Play the chime, and look for it in what the microphone hears meanwhile."""
    voice = patient.settings.voice
    back_end = find_back_end(voice.microphone, voice.capture)
    try:
        async with asyncio.timeout(SOUND_SECONDS), AsyncExitStack() as stack:
            await stack.enter_async_context(find_light(patient.settings.light).shining())
            recording = await Recording.start(back_end)
            stack.push_async_callback(recording.close)
            room = b"".join([await recording.block() for _ in range(ROOM_BLOCKS)])
            playing = asyncio.create_task(_play())
            during = b"".join([await recording.block() for _ in range(CHIME_BLOCKS)])
            await playing
    except (MicrophoneError, UnavailableError, OSError) as error:
        return bad("sound", Words(f"{error}", f"{error}"), _SOUND_REMEDY)
    except TimeoutError:
        return bad(
            "sound", Words(f"{SOUND_SECONDS:g} 秒没有结果", f"no result in {SOUND_SECONDS:g} s"), _SOUND_REMEDY
        )  # fmt: skip
    return judge_sound(rise(room, during))


_SOUND_REMEDY = Words("story-agent doctor 说明哪里不对", "story-agent doctor says what is wrong")


def judge_sound(found: float) -> Finding:
    """Judge the rise of the chime's notes, in dB."""
    shown = f"{found:+.0f} dB"
    if found >= RISE_DB:
        return good(
            "sound", f"麦克风听到了铃声（{shown}）", f"the microphone heard the chime ({shown})"
        )
    return bad(
        "sound", Words(f"麦克风没有听到铃声（{shown}）", f"the microphone did not hear the chime ({shown})"),
        Words(
            "检查喇叭和麦克风的插头、音量；有回声消除时用 --microphone 指明原始麦克风",
            "check the plugs of speaker and microphone, and the volume; where the echo is cancelled, name the raw one by --microphone",
        ),
    )  # fmt: skip


async def _play() -> None:
    with tempfile.TemporaryDirectory(prefix="selftest-") as folder:
        path = Path(folder) / "chime.wav"
        await in_thread(write_chime, path)
        await ProgramCuePlayer().play(path, 0.0)


def check_storage(patient: Patient) -> Finding:
    """Write and read back a file in the state folder, past the system's memory."""
    # One that is not there yet is the agent's to make, with its owner; the card is the same above it.
    there = (path for path in (patient.state, *patient.state.absolute().parents) if path.is_dir())
    try:
        write, read = measure_storage(next(there))
    except OSError as error:
        reason = error.strerror or str(error)
        return bad(
            "storage", Words(f"{patient.state}：{reason}", f"{patient.state}: {reason}"),
            Words("换一张卡；没有权限时用 sudo", "another card; with sudo where permission is denied"),
        )  # fmt: skip
    return judge_storage(write, read)


def judge_storage(write: float, read: float) -> Finding:
    """Judge a card by its megabytes a second."""
    shown = Words(
        f"写 {write:.0f} MB/s，读 {read:.0f} MB/s",
        f"writes {write:.0f} MB/s, reads {read:.0f} MB/s",
    )
    remedy = Words("换一张 class 10 / A1 的卡", "take a card of class 10 or A1")
    if write < BAD_MB or read < BAD_MB:
        return bad("storage", shown, remedy)
    return hint("storage", shown, remedy) if write < SLOW_MB else good("storage", *shown)


def measure_storage(folder: Path) -> tuple[float, float]:
    """Return the megabytes a second of writing and of reading; raises OSError, also when other bytes come back."""
    block = os.urandom(2**20)
    with tempfile.TemporaryFile(dir=folder) as file:
        began = time.monotonic()
        for _ in range(STORAGE_BYTES // len(block)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        written = time.monotonic()
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        file.seek(0)
        while part := file.read(len(block)):
            if part != block:
                raise OSError(5, "other bytes were read than were written")
        ended = time.monotonic()
    size = STORAGE_BYTES / 1e6
    return size / max(written - began, 1e-6), size / max(ended - written, 1e-6)


def check_battery(patient: Patient) -> Finding:
    """Read the gauge once."""
    gauge = build_battery(patient.settings.battery)
    charge = gauge.read()
    if charge.percent is None:
        told = charge.fault or gauge.name
        return bad(
            "battery", Words(f"电量未知：{told}", f"the charge is unknown: {told}"),
            Words("检查电池、I²C 的连线和 battery.kind", "check the cell, the wires of I²C, and battery.kind"),
        )  # fmt: skip
    fed = {True: Words("已接电源", "on external power"), False: Words("用电池", "on the battery")}
    power = fed.get(charge.powered) if charge.powered is not None else Words("", "")
    power = power or Words("", "")
    return good("battery", f"{charge.percent} % {power.zh}（{gauge.name}）", f"{charge.percent} % {power.en} ({gauge.name})")  # fmt: skip


async def check_link(patient: Patient) -> Finding:
    """Return whether the machine reaches its cloud; without a profile, whether it has a network."""
    if patient.says("link", "state") == "online":
        server = patient.says("link", "server")
        return good("network", f"已在 {server} 登记", f"registered with {server}")
    found = await check_cloud(patient) if patient.profile else check_network(patient)
    return Finding("network", found.level, found.cause, found.remedy)


@dataclass(frozen=True, slots=True)
class Report:
    """The station's result."""

    uuid: str
    version: str
    findings: Sequence[Finding]
    seconds: float
    left_out: Sequence[str] = ()
    """What somebody has asked not to look at."""

    @property
    def is_good(self) -> bool:
        """Whether the machine may be packed."""
        return all(finding.level is not Level.BAD for finding in self.findings)

    def label(self, day: datetime) -> str:
        """Return one line for a label printer: ASCII, no secrets, at most 80 characters."""
        failed = ",".join(f.check for f in self.findings if f.level is Level.BAD)
        verdict = "PASS" if self.is_good else f"FAIL {failed}"
        if self.left_out:
            verdict += f" without {','.join(self.left_out)}"
        return f"{self.uuid or '-'} {self.version} {day:%Y-%m-%d %H:%M} {verdict}"[:80]

    def to_json(self) -> dict[str, object]:
        """Return the result for the station's program."""
        return {
            "ok": self.is_good, "uuid": self.uuid or None, "version": self.version,
            "seconds": round(self.seconds, 1),
            "findings": [finding.to_json(EN) for finding in self.findings],
        }  # fmt: skip


def run_selftest(options: argparse.Namespace) -> int:
    """Carry out the command; return 0 if the machine may be packed."""
    patient = look_at(options.state, options.profile, options.config, os.environ)
    if options.microphone is not None:
        patient = _with_microphone(patient, options.microphone)
    began = time.monotonic()
    # Questions go to stderr, so that stdout is the result alone.
    findings = asyncio.run(
        _examine(patient, options, lambda words: print(say(words), file=sys.stderr, flush=True))
    )
    uuid = patient.profile.uuid if patient.profile else ""
    left_out = [name for name in ("sound", "buttons") if getattr(options, f"no_{name}")]
    report = Report(uuid, running_version(), findings, time.monotonic() - began, left_out)
    if options.json:
        print(json.dumps(report.to_json(), ensure_ascii=False))
    elif options.label:
        print(report.label(datetime.now(UTC)))
    else:
        for finding in findings:
            print("\n".join(finding.lines(spoken())))
        print(
            say(Words("合格", "PASS") if report.is_good else Words("不合格", "FAIL")), uuid or "-"
        )
    return EX_OK if report.is_good else EX_FAILED


def _with_microphone(patient: Patient, name: str) -> Patient:
    from dataclasses import replace  # noqa: PLC0415  # with this option only

    voice = replace(patient.settings.voice, microphone=name)
    return replace(patient, settings=replace(patient.settings, voice=voice))


async def _examine(
    patient: Patient, options: argparse.Namespace, tell: Callable[[Words], None]
) -> list[Finding]:
    """Run the parts one after the other: a hand, a speaker and a card each want the machine for themselves."""
    findings = [await asyncio.to_thread(check_storage, patient)]
    findings.append(await asyncio.to_thread(check_battery, patient))
    findings.append(await check_link(patient))
    if options.no_sound:
        findings.append(skipped("sound", "没有检查（--no-sound）", "not looked at (--no-sound)"))
    else:
        findings.append(await check_sound(patient))
    if options.no_buttons:
        findings.append(
            skipped("buttons", "没有检查（--no-buttons）", "not looked at (--no-buttons)")
        )
    else:
        findings.append(await ask_for_buttons(patient, options.button_seconds, tell))
    return findings
