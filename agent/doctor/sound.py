"""Checks of sound: the player, the output and its level, the microphone, and echo cancellation."""

from __future__ import annotations

import array
import asyncio
import math
import shutil
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from agent.doctor.echo import NO_ZEROS, Echo, find_echo
from agent.doctor.findings import Finding, bad, good, hint, skipped
from agent.doctor.patient import Patient
from agent.words import Words
from agent.words.causes import explain
from base.clock import TrustedTime
from base.threads import in_thread
from machine.capture_back_ends import find_back_end
from machine.chime import write_chime
from machine.cue_player import ProgramCuePlayer
from machine.errors import UnavailableError
from machine.light import find_light
from machine.microphone import FaultKind, MicrophoneError, Recording
from machine.microphone_switch import MicrophoneSwitch
from machine.mixers import StandInMixer, find_mixer
from machine.mpv_options import build_environment
from machine.mpv_program import find_program
from machine.outputs import Outputs
from machine.programs import run_program
from resources.times.listening import ListeningTimes

PROGRAM_SECONDS = 3.0
# Blocks of 20 ms that are listened to: as long as a server needs for what it has kept.
LISTEN_BLOCKS, FIRST_BLOCKS = 50, 10
# Full scale is 0 dB. A quiet room gives -70 to -45.
SILENT_DB, LOUD_DB = -85.0, -6.0
# Below this, a story is not heard across a room: -45 dB.
FAINT_LEVEL = 10 ** (-45 / 60)

NO_SERVER = Words(
    "没有声音服务器（pactl 没有回答）", "there is no sound server: pactl has no answer"
)


async def check_player(patient: Patient) -> Finding:
    """Return whether the player can be started."""
    program = find_program()
    if not program:
        return bad(
            "player", Words("没有播放程序 mpv", "the player mpv is missing"),
            Words("apt-get install mpv", "apt-get install mpv"),
        )  # fmt: skip
    if program[0].endswith("mpv"):
        try:
            told = await run_program(
                [*program, "--version"], PROGRAM_SECONDS, build_environment(patient.environment)
            )
        except UnavailableError as error:
            told_error = explain(str(error))
            return bad(
                "player", Words(f"mpv 启动不了：{told_error.zh}", f"mpv cannot be started: {told_error.en}"),
                Words("apt-get install --reinstall mpv", "apt-get install --reinstall mpv"),
            )  # fmt: skip
        name = " ".join(told.split()[:2])
        return good("player", name, name)
    return good("player", "libmpv", "libmpv")


async def check_output(_patient: Patient) -> Finding:
    """Return whether sound goes anywhere, and whether it is loud enough to be heard."""
    try:
        mixer = await find_mixer(lambda: None)
        try:
            outputs = None if isinstance(mixer, StandInMixer) else await mixer.read()
        finally:
            await mixer.close()
    except UnavailableError as error:
        told = explain(str(error))
        return bad(
            "output", Words(f"声音输出不可用：{told.zh}", f"no sound output can be used: {told.en}"),
            Words(
                "检查声卡，以及代理的用户是否在 audio 组里；PULSE_SERVER 是否指向运行的服务器",
                "check the card, that the agent's user is in the group audio, and that PULSE_SERVER names a server that runs",
            ),
        )  # fmt: skip
    return _judge_output(outputs)


async def check_chime(_patient: Patient) -> Finding:
    """Play the chime as a cue is played; whether it was heard, a person knows."""
    try:
        with tempfile.TemporaryDirectory(prefix="chime-") as folder:
            path = Path(folder) / "chime.wav"
            await in_thread(write_chime, path)
            await ProgramCuePlayer().play(path, 0.0)
    except (UnavailableError, OSError) as error:
        told = explain(getattr(error, "strerror", None) or str(error))
        return bad(
            "chime", Words(f"提示音没有播出来：{told.zh}", f"the chime was not played: {told.en}"),
            Words("看 player 和 output 两项", "see the checks player and output"),
        )  # fmt: skip
    return good("chime", "提示音已播放：听到了吗？", "the chime was played: did you hear it?")


def _judge_output(outputs: Outputs | None) -> Finding:
    if outputs is None or outputs.is_dummy:
        return bad(
            "output", Words("没有声卡：播放的声音没有人听见", "there is no sound device: what plays is not heard"),
            Words("接上或启用声卡（config.txt 里的 dtoverlay、USB 声卡）", "connect or enable one (the overlay in config.txt, a USB card)"),
        )  # fmt: skip
    level = outputs.level
    shown = f"{outputs.default}, {60 * math.log10(level):+.0f} dB" if level > 0 else outputs.default
    if level < FAINT_LEVEL:
        return hint(
            "output", Words(f"{shown}：几乎听不见", f"{shown}: next to nothing is heard"),
            Words("story-agent set volume 9", "story-agent set volume 9"),
        )  # fmt: skip
    return good("output", shown, shown)


async def check_microphone(patient: Patient) -> Finding:
    """Return what one second of the microphone is like. Closed is closed, for the doctor too."""
    # A disk that took no file has left the switch in the agent's memory alone.
    is_muted = patient.says("listening", "state") == "muted"
    if is_muted or not MicrophoneSwitch(patient.state / "microphone-off").is_on:
        return skipped(
            "microphone", "麦克风已关闭，没有打开", "the microphone is off, and was not opened"
        )
    refusal = ListeningTimes(TrustedTime(), patient.state).refusal()
    if refusal is not None:
        return skipped("microphone", f"家长规则：{refusal}", f"the parents' rules: {refusal}")
    voice = patient.settings.voice
    back_end = find_back_end(voice.microphone, voice.capture)
    try:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(find_light(patient.settings.light).shining())
            recording = await Recording.start(back_end)
            stack.push_async_callback(recording.close)
            for _ in range(FIRST_BLOCKS):
                await recording.block()
            blocks = [await recording.block() for _ in range(LISTEN_BLOCKS)]
    except MicrophoneError as error:
        return bad("microphone", explain(str(error)), _mend_microphone(error.kind))
    return judge_sound(back_end.name, b"".join(blocks))


def _mend_microphone(kind: FaultKind) -> Words:
    match kind:
        case FaultKind.NO_BACK_END:
            return Words(
                "apt-get install pulseaudio-utils（或 alsa-utils）", "apt-get install pulseaudio-utils (or alsa-utils)"
            )  # fmt: skip
        case FaultKind.NO_DEVICE:
            return Words(
                "arecord -l 和 pactl list short sources 列出麦克风；写进 voice.microphone",
                "arecord -l and pactl list short sources list the microphones; name one in voice.microphone",
            )
        case FaultKind.FROZEN | FaultKind.NO_FIRST_BLOCK:
            return Words(
                "别的程序可能占着声卡；重启声音服务器", "another program may hold the card; restart the sound server"
            )  # fmt: skip
        case _:
            return Words(
                "检查麦克风的插头和声音服务器", "check the microphone's plug and the sound server"
            )


def judge_sound(name: str, samples: bytes) -> Finding:
    """Judge a second of 16-bit samples of the microphone ``name``."""
    level = decibels(samples)
    if not any(samples):
        return bad(
            "microphone", Words(f"{name} 只有零：静音，或是坏的", f"{name} gives zeros alone: it is muted, or dead"),
            Words(
                "检查麦克风上的开关；pactl set-source-mute @DEFAULT_SOURCE@ 0；alsamixer 的 Capture",
                "check the switch on it; pactl set-source-mute @DEFAULT_SOURCE@ 0; Capture in alsamixer",
            ),
        )  # fmt: skip
    shown = f"{name}, {level:.0f} dB"
    if level < SILENT_DB:
        return hint(
            "microphone", Words(f"{shown}：太轻", f"{shown}: too faint for a room"),
            Words("pactl set-source-volume @DEFAULT_SOURCE@ 100%，或 alsamixer", "pactl set-source-volume @DEFAULT_SOURCE@ 100%, or alsamixer"),
        )  # fmt: skip
    if level > LOUD_DB:
        return hint(
            "microphone", Words(f"{shown}：过载", f"{shown}: it is overloaded"),
            Words("把录音音量调低", "turn its gain down"),
        )  # fmt: skip
    return good("microphone", shown, shown)


def decibels(samples: bytes) -> float:
    """Return the level of 16-bit samples against full scale, without their constant part."""
    values = array.array("h", samples)
    if not values:
        return -math.inf
    mean = sum(values) / len(values)
    power = sum((value - mean) ** 2 for value in values) / len(values)
    return 10 * math.log10(power / 32768**2) if power > 0 else -math.inf


async def check_echo(patient: Patient) -> Finding:
    """Return whether the echo is cancelled, and whether the agent's way of sound goes through it."""
    try:
        echo, source, sink = await look_for_echo(patient)
    except UnavailableError:
        return skipped("echo", *NO_SERVER)
    fix = Words("story-agent doctor --fix", "story-agent doctor --fix")
    if not echo.is_loaded:
        return hint(
            "echo", Words("没有回声消除：聆听时故事要暂停，唤醒词听不清", "no echo cancellation: the story pauses for listening, and hides a wake word"),
            fix,
        )  # fmt: skip
    if echo.missing:
        named = " ".join(echo.missing)
        zh, en = (
            ("它会把麦克风调低 29 dB", "it turns the microphone down by 29 dB")
            if echo.turns_down
            else ("它几乎消不掉回声", "it takes out little of the echo")
        )
        return bad(
            "echo",
            Words(f"回声消除缺少 {named}：{zh}", f"echo cancellation lacks {named}: {en}"),
            fix,
        )
    unused = echo.unused(patient.settings.voice.microphone or source, sink)
    if unused:
        named = ", ".join(unused)
        return bad(
            "echo", Words(f"回声消除没有用上：{named}", f"echo cancellation is there and not used: {named}"),
            Words(
                f"pactl set-default-source {echo.source}；pactl set-default-sink {echo.sink}；voice.microphone 留空",
                f"pactl set-default-source {echo.source}; pactl set-default-sink {echo.sink}; leave voice.microphone empty",
            ),
        )  # fmt: skip
    if echo.makes_zeros:
        return hint(
            "echo", Words(f"回声消除没有 {NO_ZEROS}：安静时它只给零，像是静音", f"echo cancellation lacks {NO_ZEROS}: of a quiet room it makes zeros, as if muted"),
            fix,
        )  # fmt: skip
    return good(
        "echo",
        f"{echo.source}，播放走 {echo.sink}",
        f"{echo.source}, and stories go through {echo.sink}",
    )


async def look_for_echo(patient: Patient) -> tuple[Echo, str, str]:
    """Return the canceller, the default source and the default sink; raises UnavailableError."""
    pactl = shutil.which("pactl")
    if pactl is None:
        raise UnavailableError("pactl is missing")
    environment = build_environment(patient.environment)
    modules, sources, source, sink = await asyncio.gather(
        *(
            run_program([pactl, *words.split()], PROGRAM_SECONDS, environment)
            for words in (
                "list short modules", "list short sources", "get-default-source", "get-default-sink",
            )
        )
    )  # fmt: skip
    named = patient.environment.get("PULSE_SOURCE") or source.strip()
    return find_echo(modules, sources), named, sink.strip()
