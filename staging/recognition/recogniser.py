"""Manages the recogniser process: starts it on demand, and kills it on timeout or when idle.

`Recogniser.hear` and `score` are for one caller at a time. The process loads its model at the first
utterance and is killed after ten idle minutes. If it hangs or dies, only one utterance is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from audio.pcm import Pcm
from audio.wav import render_wav
from base.backoff import Backoff
from staging.recognition.hearing import DEFAULT_MODEL, HYPOTHESES_MAX, Hearing, Hypothesis

CACHE_FOLDER = "models"
# Joining the model's halves and loading it took 3.6 s with cold caches; a busy machine may need ten
# times that.
START_DEADLINE = 60.0
# A clip takes about a second on two cores, whatever its length up to 30 s.
CLIP_DEADLINE = 30.0
IDLE_SECONDS = 600.0
# Seconds to wait after a failed start: doubled each time, up to the maximum.
BACKOFF_FIRST, BACKOFF_MAX = 2.0, 300.0
STOP_TIMEOUT = 1.0
# Of one answer, in bytes: a minute's text is far shorter.
LINE_LIMIT = 64 * 1024

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class RecogniserError(Exception):
    """An utterance was not recognised because the recogniser failed."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Timeouts in seconds: for the start, for one utterance, and for an idle process."""

    start: float = START_DEADLINE
    clip: float = CLIP_DEADLINE
    idle: float = IDLE_SECONDS


class Recogniser:
    """Owns one recogniser process."""

    def __init__(
        self,
        cache: Path,
        *,
        model: str = DEFAULT_MODEL,
        command: Sequence[str] = (sys.executable, "-m", "staging.recognition.worker"),
        deadlines: Deadlines = Deadlines(),  # frozen
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set up without starting the process.

        Args:
            cache: folder where the model keeps its files.
            model: which one, as ``MODULE:FACTORY``.
            command: the worker's command; ``cache`` and ``model`` are appended.
            deadlines: timeouts.
            clock: seconds, any origin.
        """
        self._command = (*command, str(cache), model)
        self._deadlines = deadlines
        self._clock = clock
        self._process: Process | None = None
        self._used = 0.0
        self._busy = False
        # A start that is under way is waited for, and never a second one begun.
        self._starting = asyncio.Lock()
        self._backoff = Backoff(BACKOFF_MAX, first=BACKOFF_FIRST)
        self._not_before = 0.0

    @property
    def pid(self) -> int | None:
        """The id of the running process, or None."""
        return self._process.pid if self._process else None

    async def hear(self, sound: Pcm) -> Hearing:
        """Return what a sound may be.

        Raises:
            RecogniserError: the process cannot be started, timed out, died, or reported an error.
        """
        wav = render_wav(sound)
        request = json.dumps({"bytes": len(wav)}).encode() + b"\n" + wav
        return await self._ask(request, _hearing)

    async def score(self, phrases: Sequence[str]) -> list[float] | None:
        """Return how well the sound heard last fits each phrase, None if the model cannot tell.

        Raises:
            RecogniserError: as `hear`; also if the process that heard the sound is no more.
        """
        if self._process is None:
            raise RecogniserError("the recogniser that heard the sound has ended")
        request = json.dumps({"score": list(phrases)}).encode() + b"\n"
        scores = await self._ask(request, _scores)
        if scores is not None and len(scores) != len(phrases):
            await self._end()
            raise RecogniserError(f"got {len(scores)} scores, expected {len(phrases)}")
        return scores

    async def _ask(self, request: bytes, read: Callable[[dict[str, object]], _T]) -> _T:
        self._busy = True
        try:
            process = await self._ready()
            answer = await self._converse(process, request, self._deadlines.clip)
            if "error" in answer:
                raise RecogniserError(str(answer["error"]))
            try:
                return read(answer)
            except (KeyError, TypeError, ValueError):
                await self._end()
                raise RecogniserError(f"the recogniser answered {answer!r:.200}") from None
        finally:
            self._busy, self._used = False, self._clock()

    async def warm_up(self) -> None:
        """Load the model while somebody still speaks, so that the answer need not wait for it.

        A failure is only logged: who needs the model gets it as the error of `hear`. The model that nobody
        uses after all is unloaded as any idle one.
        """
        if self._process is not None or self._clock() < self._not_before:
            return
        self._busy = True
        try:
            await self._ready()
        except RecogniserError as error:
            _log.warning("recognition: %s", error)
        finally:
            self._busy, self._used = False, self._clock()

    async def rest_when_idle(self) -> None:
        """Kill the process if it has been idle too long; it is started again when needed."""
        if self._busy or self._process is None:
            return
        if self._clock() - self._used >= self._deadlines.idle:
            _log.info("recognition: the idle model is unloaded")
            await self._end()

    async def close(self) -> None:
        """Kill the process."""
        await self._end()

    async def _ready(self) -> Process:
        """Return the process with its model loaded."""
        async with self._starting:
            return self._process or await self._start()

    async def _start(self) -> Process:
        wait = self._not_before - self._clock()
        if wait > 0:
            raise RecogniserError(f"the recogniser failed to start; next try in {wait:.0f} s")
        try:
            # A session of its own, so that Ctrl-C reaches only the server, which then kills it.
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=PIPE, stdout=PIPE, limit=LINE_LIMIT, start_new_session=True
            )
            answer = await self._converse(self._process, b"", self._deadlines.start)
            if "ready" not in answer:
                raise RecogniserError(str(answer.get("error", answer)))
        except (OSError, RecogniserError) as error:
            await self._end()
            self._not_before = self._clock() + self._backoff.next()
            raise RecogniserError(f"the recogniser does not start: {error}") from error
        self._backoff.reset()
        _log.info("recognition: model loaded in %s s", answer["ready"])
        return self._process

    async def _converse(
        self, process: Process, request: bytes, deadline: float
    ) -> dict[str, object]:
        """Send a request and read one answer; any failure kills the process."""
        try:
            async with asyncio.timeout(deadline):
                return await _exchange(process, request)
        except TimeoutError as error:
            await self._end()
            raise RecogniserError(f"no answer within {deadline:g} s") from error
        except (OSError, ValueError) as error:
            await self._end()
            raise RecogniserError(str(error) or type(error).__name__) from error
        except asyncio.CancelledError:
            # The unread answer would be taken as the answer to the next request.
            await self._end()
            raise

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT)


def _hearing(answer: dict[str, object]) -> Hearing:
    texts, silence = answer["hypotheses"], answer["silence"]
    if not isinstance(texts, list) or not isinstance(silence, int | float):
        raise TypeError("expected a list of hypotheses, and a number")
    made = tuple(Hypothesis(str(text), float(score)) for text, score in texts[:HYPOTHESES_MAX])
    return Hearing(made, float(silence))


def _scores(answer: dict[str, object]) -> list[float] | None:
    scores = answer["scores"]
    if scores is None:
        return None
    if not isinstance(scores, list):
        raise TypeError("expected a list of scores")
    return [float(score) for score in scores]


async def _exchange(process: Process, request: bytes) -> dict[str, object]:
    if process.stdin is None or process.stdout is None:  # both are pipes
        raise ValueError("the process has no pipes")
    if request:
        process.stdin.write(request)
        await process.stdin.drain()
    line = await process.stdout.readline()
    if not line:
        raise ValueError("the process ended")
    answer = json.loads(line)
    if not isinstance(answer, dict):
        raise ValueError("an answer that is no object")  # noqa: TRY004  # bad content, like bad JSON
    return answer
