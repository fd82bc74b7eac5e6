"""The recogniser process from the server's side: deadlines, crashes, idle times.

Tests staging.recognition.worker too.
"""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest

from audio.pcm import Pcm
from staging.recognition.hearing import Hearing, Hypothesis
from staging.recognition.recogniser import Deadlines, Recogniser, RecogniserError

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
BACKOFF_FIRST = 2.0

SOUND = Pcm(8000, bytes(16000))
GOOD = '["下一首", -0.3, 0.1]'
SCORING = '["下一首", -0.3, 0.1, {"下一首": 9.5}]'
HEARD = Hearing((Hypothesis("下一首", -0.3),), 0.1)


class FakeClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def recogniser(
    worker: tuple[str, str], mode: str, clock: FakeClock | None = None, **deadlines: float
) -> Recogniser:
    return Recogniser(
        Path("cache"),
        command=(*worker, mode),
        deadlines=Deadlines(**deadlines),
        clock=clock or FakeClock(),
    )


# Only a hang takes this long.
START_TIMEOUT = 30.0


def runs(made: Recogniser) -> bool:
    return made.pid is not None


async def started(made: Recogniser) -> None:
    """Poll until its process exists; there is no event for it."""
    async with asyncio.timeout(START_TIMEOUT):
        while not runs(made):
            await asyncio.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_model_that_is_being_loaded_is_not_loaded_twice(worker: tuple[str, str]) -> None:
    made = recogniser(worker, GOOD)
    warming = asyncio.create_task(made.warm_up())
    assert await made.hear(SOUND) == HEARD
    first = made.pid
    await warming
    await made.warm_up()
    assert made.pid == first
    await made.close()


async def test_a_model_that_nobody_used_is_unloaded(worker: tuple[str, str]) -> None:
    clock = FakeClock()
    made = recogniser(worker, GOOD, clock, idle=600.0)
    await made.warm_up()
    assert runs(made)
    await made.rest_when_idle()
    assert runs(made)
    clock.now += 600.0
    await made.rest_when_idle()
    assert not runs(made)


async def test_a_model_that_cannot_be_loaded_early_is_an_error_of_the_utterance(
    worker: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    made = recogniser(worker, "no-start")
    await made.warm_up()
    await made.warm_up()  # too early for another try: nothing is started, and nothing logged
    assert caplog.text.count("no model") == 1
    with pytest.raises(RecogniserError, match="next try in"):
        await made.hear(SOUND)


async def test_one_process_answers_many(worker: tuple[str, str]) -> None:
    made = recogniser(worker, GOOD)
    assert not runs(made)  # nothing is loaded before the first utterance
    assert await made.hear(SOUND) == HEARD
    first = made.pid
    assert first
    await made.hear(SOUND)
    assert made.pid == first
    await made.close()
    assert not is_alive(first)


@pytest.mark.parametrize(
    ("mode", "message"),
    [("hang", "no answer within 0.3 s"), ("die", "the process ended"), ("rubbish", "Expecting"),
     ("wrong", "the recogniser answered")],
)  # fmt: skip
async def test_one_that_fails_is_ended_and_the_next_is_new(
    worker: tuple[str, str], mode: str, message: str
) -> None:
    made = recogniser(worker, mode, clip=0.3)
    for _ in range(2):
        with pytest.raises(RecogniserError, match=message):
            await made.hear(SOUND)
        assert not runs(made)


async def test_phrases_are_scored_by_the_process_that_heard(worker: tuple[str, str]) -> None:
    made = recogniser(worker, SCORING)
    with pytest.raises(RecogniserError, match="has ended"):
        await made.score(["下一首"])
    await made.hear(SOUND)
    assert await made.score(["下一首", "停止"]) == [9.5, -9.0]
    await made.close()


async def test_a_model_need_not_score(worker: tuple[str, str]) -> None:
    made = recogniser(worker, GOOD)
    await made.hear(SOUND)
    assert await made.score(["下一首"]) is None
    await made.close()


@pytest.mark.parametrize(
    ("mode", "message"),
    [("short", "got 1 scores, expected 2"), ("wrong", "the recogniser answered")],
)
async def test_scores_that_are_none(worker: tuple[str, str], mode: str, message: str) -> None:
    made = recogniser(worker, mode)
    if mode == "short":
        await made.hear(SOUND)
    else:
        made._process = await made._start()
    with pytest.raises(RecogniserError, match=message):
        await made.score(["下一首", "停止"])
    assert not runs(made)


async def test_a_refusal_leaves_it_running(worker: tuple[str, str]) -> None:
    made = recogniser(worker, "refuse")
    with pytest.raises(RecogniserError, match="bad sound"):
        await made.hear(SOUND)
    assert runs(made)
    await made.close()


@pytest.mark.parametrize(
    ("mode", "message"), [("no-start", "no model"), ("mute-start", r"no answer within 0.2 s")]
)
async def test_a_start_that_fails_is_not_tried_again_at_once(
    worker: tuple[str, str], mode: str, message: str
) -> None:
    clock = FakeClock()
    made = recogniser(worker, mode, clock, start=0.2 if mode == "mute-start" else 10.0)
    with pytest.raises(RecogniserError, match=message):
        await made.hear(SOUND)
    with pytest.raises(RecogniserError, match="next try in"):
        await made.hear(SOUND)
    clock.now += BACKOFF_FIRST
    with pytest.raises(RecogniserError, match=message):
        await made.hear(SOUND)
    assert not runs(made)


async def test_one_that_never_starts_is_tried_after_2_s_and_at_last_every_five_minutes(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    made = Recogniser(tmp_path, command=(str(tmp_path / "none"),), clock=clock)
    for longest in (2, 4, 8, 16, 32, 64, 128, 256, 300, 300):
        with pytest.raises(RecogniserError, match="does not start"):
            await made.hear(SOUND)
        with pytest.raises(RecogniserError, match="next try in") as refused:
            await made.hear(SOUND)
        wait = float(re.findall(r"next try in (\S+) s", str(refused.value))[0])
        assert longest / 2 - 1 <= wait <= longest + 1  # chance takes up to half of it away
        clock.now += longest


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    made = Recogniser(tmp_path, command=(str(tmp_path / "none"),))
    with pytest.raises(RecogniserError, match="does not start"):
        await made.hear(SOUND)


async def test_it_rests_when_nobody_speaks(worker: tuple[str, str]) -> None:
    clock = FakeClock()
    made = recogniser(worker, GOOD, clock, idle=60.0)
    await made.hear(SOUND)
    clock.now += 59
    await made.rest_when_idle()
    assert runs(made)
    clock.now += 1
    await made.rest_when_idle()
    assert not runs(made)
    assert await made.hear(SOUND) == HEARD
    await made.close()


async def test_it_does_not_rest_while_it_works(worker: tuple[str, str]) -> None:
    made = recogniser(worker, "hang", idle=0.0, clip=0.5)
    task = asyncio.create_task(made.hear(SOUND))
    await started(made)
    await made.rest_when_idle()
    assert runs(made)
    with pytest.raises(RecogniserError, match=r"no answer within 0\.5 s"):
        await task


async def test_cancelling_ends_the_process_too(worker: tuple[str, str]) -> None:
    made = recogniser(worker, GOOD)
    await made.hear(SOUND)
    pid = made.pid
    assert pid
    hanging = recogniser(worker, "hang")
    task = asyncio.create_task(hanging.hear(SOUND))
    await started(hanging)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not runs(hanging)
    await made.close()
