"""The microphone on scripted children for each fault, and on real sound servers that die, freeze and move."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from machine import microphone
from machine.capture_child import BLOCK_BYTES
from machine.capture_source import read_source
from machine.microphone import BackEnd, FaultKind, Microphone, MicrophoneError, Recording
from tests.machine.mic_parts import DEADLINE, back_end, children, descriptors, mic_server
from tools.pulse import MicServer

NOISE = "head -c {} /dev/urandom"
HANG = "exec sleep 600"


def script(text: str, **more: object) -> BackEnd:
    return BackEnd("scripted", ("sh", "-c", text), **more)  # type: ignore[arg-type]


async def until_fault(
    recording: Recording, before: Callable[[int], object] = lambda _number: None
) -> tuple[int, MicrophoneError]:
    """Read until the fault; return the number of blocks and the fault. ``before`` is called before each block."""
    for number in itertools.count():
        before(number)
        try:
            async with asyncio.timeout(DEADLINE):
                assert len(await recording.block()) == BLOCK_BYTES
        except MicrophoneError as error:
            return number, error
    raise AssertionError


async def record(
    back_end: BackEnd, before: Callable[[int], object] = lambda _number: None
) -> tuple[int, MicrophoneError]:
    recording = await Recording.start(back_end)
    try:
        return await until_fault(recording, before)
    finally:
        await recording.close()


@pytest.fixture(autouse=True)
def no_child_is_left() -> Iterator[None]:
    before = children()
    yield
    end = time.monotonic() + DEADLINE
    while not children() <= before:  # one that was killed is taken up by a thread of asyncio's
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return what sets how long a block is waited for: long at first, so that a slow machine changes no fault."""

    def set_(seconds: float) -> None:
        monkeypatch.setattr(microphone, "FIRST_BLOCK_SECONDS", seconds)
        monkeypatch.setattr(microphone, "NEXT_BLOCK_SECONDS", seconds)

    set_(DEADLINE)
    return set_


@pytest.mark.parametrize(
    ("text", "blocks", "kind", "words"),
    [
        (NOISE.format(1280), 2, FaultKind.ENDED, "went away (exit code 0)"),
        (NOISE.format(1279), 1, FaultKind.ENDED, "went away"),
        ("exit 1", 0, FaultKind.ENDED, "exit code 1"),
        ("kill -9 $$", 0, FaultKind.ENDED, "exit code -9"),
        (HANG, 0, FaultKind.NO_FIRST_BLOCK, "gave nothing for 0.2 s"),
        (f"{NOISE.format(640)}; {HANG}", 1, FaultKind.FROZEN, "gave nothing for 0.2 s"),
        (f"head -c 160000 /dev/zero; {HANG}", 249, FaultKind.ZEROS, "exact zeros for 5 s: it is muted"),
        (
            f"head -c 159360 /dev/zero; {NOISE.format(640)}; head -c 159360 /dev/zero; {HANG}",
            499, FaultKind.FROZEN, "gave nothing",
        ),
        ("exit 7", 0, FaultKind.NO_DEVICE, "no such device"),
        ("echo 'Stream error:  No such\n entity' >&2; exit 1", 0, FaultKind.NO_DEVICE,
         "(Stream error: No such entity)"),
        ("echo 'Connection failure: refused' >&2; exit 1", 0, FaultKind.ENDED, "(Connection failure: refused)"),
    ],
)  # fmt: skip
async def test_each_fault_has_its_name(
    waits: Callable[[float], None], text: str, blocks: int, kind: FaultKind, words: str
) -> None:
    def before(number: int) -> None:
        if number == blocks and "gave nothing" in words:  # all that comes has come
            waits(0.2)

    back_end = script(
        text, exits={7: FaultKind.NO_DEVICE}, says={"No such entity": FaultKind.NO_DEVICE}
    )
    number, fault = await record(back_end, before)
    assert (number, fault.kind) == (blocks, kind)
    assert words in str(fault)
    assert str(fault).startswith("microphone: scripted")


async def test_one_that_closes_its_output_and_lives_has_ended(
    waits: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    explain = Recording._explain_end

    async def soon(recording: Recording) -> MicrophoneError:
        waits(0.05)
        return await explain(recording)

    monkeypatch.setattr(Recording, "_explain_end", soon)
    number, fault = await record(script(f"{NOISE.format(640)}; exec >&-; {HANG}"))
    assert (number, fault.kind) == (1, FaultKind.ENDED)
    assert "went away" in str(fault)


async def test_words_that_come_in_pieces_are_all_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncio.unix_events._UnixReadPipeTransport.max_size", 5)
    back_end = script(
        "echo 'Stream error: No such entity' >&2; exit 1", says={"No such": FaultKind.NO_DEVICE}
    )
    number, fault = await record(back_end)
    assert (number, fault.kind) == (0, FaultKind.NO_DEVICE)
    assert "(Stream error: No such entity)" in str(fault)


async def test_without_a_back_end_the_fault_says_what_is_missing() -> None:
    with pytest.raises(MicrophoneError, match="nothing installed") as caught:
        await Recording.start(BackEnd("nothing installed", ()))
    assert caught.value.kind is FaultKind.NO_BACK_END
    with pytest.raises(MicrophoneError, match="cannot be started: No such file"):
        await Recording.start(BackEnd("gone", ("/nonexistent/recorder",)))


async def test_the_child_sees_no_secret_of_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/secret")
    monkeypatch.setenv("PULSE_SOURCE", "mic")
    back_end = script("env >&2", says={"none": FaultKind.NO_DEVICE}, keep=("PULSE_SOURCE",))
    assert "NOTIFY_SOCKET" not in back_end.environment(os.environ)
    assert back_end.environment(os.environ)["PULSE_SOURCE"] == "mic"
    _, fault = await record(back_end)
    assert "secret" not in str(fault)


async def test_waits_double_to_five_seconds_and_a_block_begins_them_anew() -> None:
    waits: list[float] = []
    faults: list[MicrophoneError] = []
    back_ends = iter([script("exit 1")] * 7 + [script(NOISE.format(640))] + [script("exit 1")])

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        following = next(back_ends, None)
        if following is None:
            raise asyncio.CancelledError
        ears.back_end = following

    ears = Microphone(next(back_ends), sleep=wait)
    with pytest.raises(asyncio.CancelledError):
        await ears.keep_open(lambda _block: None, faults.append)
    # Chance takes up to half of each away.
    for wait_, longest in zip(waits, (0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 0.2, 0.4), strict=True):
        assert longest / 2 <= wait_ <= longest
    assert [fault.kind for fault in faults] == [FaultKind.ENDED] * 9
    assert ears.faults == {"ended": 9}


async def test_closed_is_closed_whenever_it_is_told() -> None:
    """Cancelled at its start, while it waits for the first block, between blocks and while it closes."""
    for blocks_before in (None, 0, 1, 3):
        got = asyncio.Semaphore(0)
        ears = Microphone(script(f"{NOISE.format(640 * (blocks_before or 0))}; {HANG}"))
        task = asyncio.create_task(ears.keep_open(lambda _block, got=got: got.release(), print))
        async with asyncio.timeout(DEADLINE):
            if blocks_before is not None:
                while not ears.is_open:
                    await asyncio.sleep(0)
            for _ in range(blocks_before or 0):
                await got.acquire()
            for _ in range(3):
                task.cancel()
                await asyncio.sleep(0)
            with pytest.raises(asyncio.CancelledError):
                await task
        assert not ears.is_open


async def test_others_have_their_turn_between_blocks_that_have_piled_up() -> None:
    """Each block of a burst lets the loop run once; a sender would else find all of them at once."""
    turns: list[int] = []
    turn = 0

    async def count() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    ears = Microphone(script(f"{NOISE.format(640 * 50)}; {HANG}"))
    task = asyncio.create_task(ears.keep_open(lambda _block: turns.append(turn), print))
    async with asyncio.timeout(DEADLINE):
        while len(turns) < 50:
            await asyncio.sleep(0)
    task.cancel()
    counting.cancel()
    await asyncio.wait([task, counting])
    assert len(set(turns)) == 50


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MicServer]:
    with mic_server(tmp_path, monkeypatch) as made:
        yield made


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("kind", ["sounddevice", "parec", "arecord"])
async def test_every_back_end_hears_a_real_sound_server(kind: str) -> None:
    recording = await Recording.start(back_end(kind))
    try:
        blocks = [await recording.block() for _ in range(50)]
    finally:
        await recording.close()
    assert any(any(block) for block in blocks)


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("kind", ["sounddevice", "parec", "arecord"])
async def test_a_source_that_is_not_there_is_named(kind: str) -> None:
    number, fault = await record(back_end(kind, "nowhere"))
    assert (number, fault.kind) == (0, FaultKind.NO_DEVICE), fault
    assert "nowhere" in str(fault)


@pytest.mark.parametrize(("kind", "deaths"), [("sounddevice", 2), ("parec", 2)])
async def test_it_survives_the_deaths_of_the_sound_server(
    server: MicServer, kind: str, deaths: int
) -> None:
    ears = Microphone(back_end(kind))
    blocks = asyncio.Semaphore(0)
    faults: asyncio.Queue[MicrophoneError] = asyncio.Queue(100)
    task = asyncio.create_task(ears.keep_open(lambda _block: blocks.release(), faults.put_nowait))
    open_before = 0
    try:
        async with asyncio.timeout(DEADLINE * 2):
            for death in range(deaths):
                await blocks.acquire()
                if death == 1:
                    open_before = descriptors()
                server.kill()
                assert (await faults.get()).kind is FaultKind.ENDED
                blocks = asyncio.Semaphore(0)
                server.start()
            await blocks.acquire()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert descriptors() <= open_before


async def test_a_frozen_server_is_noticed_and_left(server: MicServer) -> None:
    recording = await Recording.start(back_end("sounddevice"))
    await recording.block()
    server.freeze(frozen=True)
    try:
        _, fault = await until_fault(recording)
    finally:
        await recording.close()
        server.freeze(frozen=False)
    assert fault.kind is FaultKind.FROZEN


@pytest.mark.parametrize("kind", ["sounddevice", "parec"])
async def test_a_source_that_goes_is_a_fault_and_not_the_next_one(
    server: MicServer, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    read_once = asyncio.Event()

    async def read(process: int) -> str:
        source = await read_source(process)
        read_once.set()
        return source

    monkeypatch.setattr(microphone, "SOURCE_SECONDS", 0.05)
    monkeypatch.setattr(microphone, "read_source", read)
    module = server.pactl("load-module", "module-null-sink", "sink_name=second").strip()
    recording = await Recording.start(back_end(kind, "second.monitor"))
    try:
        await recording.block()
        async with asyncio.timeout(DEADLINE):
            await read_once.wait()
        server.pactl("unload-module", module)
        _, fault = await until_fault(recording)
    finally:
        await recording.close()
    assert fault.kind is FaultKind.MOVED
    assert "moved it from source" in str(fault)


async def test_a_recording_that_is_far_ahead_of_its_reader_is_closed_all_the_same() -> None:
    """asyncio waits for the end of a process's pipes, and reads no further in one that is full."""
    recording = await Recording.start(BackEnd("flood", ("yes", "\x01" * 4000)))
    await recording.block()
    async with asyncio.timeout(30):
        while not recording._output._paused:  # type: ignore[attr-defined]
            await asyncio.sleep(0.001)
        await recording.close()
