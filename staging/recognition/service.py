"""The recognition service: from a device's voice segments, or a typed sentence, to the outcome.

It never blocks the gateway's event loop: `collect` only takes in segments, one utterance at a time is
recognised in another process, and utterances that do not fit into the queue are dropped and logged.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from audio.errors import AudioError, SpeexUnavailableError
from staging.data_dir import DataDir
from staging.errors import GatewayError, StagingError
from staging.recognition.actions import ActionError, Control, Device, Step
from staging.recognition.answer import Waiting, answer_of
from staging.recognition.intents import (
    Action,
    Intent,
    find_intent,
    forbids,
    named_after_play,
    named_alone,
)
from staging.recognition.kinds import Kind, kind_of_answer, kind_of_failure
from staging.recognition.lookup import Known, look_up
from staging.recognition.offers import Choice, Offers, choose, spoken_answers
from staging.recognition.outcomes import TYPED, VOICE, Outcome, OutcomeLog
from staging.recognition.reassembly import Broken, Reassembler, Utterance
from staging.recognition.recogniser import STOP_TIMEOUT, RecogniserError
from staging.recognition.sound import decode
from staging.recognition.summary import without_words
from staging.recognition.title_lists import TitleLists
from staging.recognition.titles import NoTitleError, TitleIndex
from staging.recognition.understanding import Recogniser, Understood, understand
from staging.store import Database, voice_ledger
from staging.store.effects import Effect, VoiceSeen
from staging.store.family import Texts
from staging.times import Clock, now_ms
from wire.answers import UtteranceAnswer
from wire.errors import WireError
from wire.text import parse_text

# Enough for a class of children talking at once; at one second each, the last waits 15 s.
QUEUE_LIMIT = 16
# A device that reads answers waits for 7 s (docs/listening.md), and needs some of them to begin a story.
UNDERSTOOD_SECONDS = 5.5
_TOO_LATE = f"understood over {UNDERSTOOD_SECONDS:g} s after its end: the machine no longer waits"
_GONE = "it was erased before it was recognised"
# Answers on their way; each takes 5 s at most.
ANSWERING_LIMIT = 256
# Typed sentences that are carried out at the same time.
TYPED_LIMIT = 8
TIDY_SECONDS = 0.5
SENTENCE_LIMIT = 500
_log = logging.getLogger(__name__)


Answer = Callable[[str, UtteranceAnswer], Coroutine[Any, Any, bool]]
"""`Ear.answer`: (uuid, answer) → whether the device has taken it."""


async def answer_nobody(_uuid: str, _answer: UtteranceAnswer) -> bool:
    """Answer no device: for a service without a gateway."""
    return False


class BusyError(StagingError):
    """Too many sentences are being carried out."""


class Recognition:
    """One cloud's recognition service; `run` it in a task next to the gateway's."""

    def __init__(
        self,
        database: Database,
        control: Control,
        data: DataDir,
        recogniser: Recogniser | None = None,
        *,
        answer: Answer = answer_nobody,
        waits: Callable[[str], bool] = lambda _uuid: False,
        clock: Clock = now_ms,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set up the service.

        Args:
            database: where devices are looked up.
            control: sends a control request to a device.
            data: the cloud's data folder.
            recogniser: None: voice segments are ignored, and only typed sentences are carried out.
            answer: tells a device what became of an utterance.
            waits: whether a device waits for its answer, and says that it failed if none comes.
            clock: UTC milliseconds, for the outcomes.
            monotonic: seconds, for timeouts.
        """
        self._database = database
        self._control = control
        self._recogniser = recogniser
        self._answer = answer
        self._waits = waits
        self._answering: set[asyncio.Task[bool]] = set()
        self._warming: asyncio.Task[None] | None = None
        self._waiting = Waiting()
        self._offers = Offers()
        self._clock = clock
        self._monotonic = monotonic
        self._chance = random.Random()  # noqa: S311  # for stories
        self._title_lists = TitleLists(data.root)
        self._reassembler = Reassembler()
        # Each with its end's arrival, in monotonic seconds and in ms.
        self._queue: asyncio.Queue[tuple[Utterance | Broken, float, int]] = asyncio.Queue(
            QUEUE_LIMIT
        )
        self._typed = 0
        self.outcomes = OutcomeLog(data.root)
        """The outcome of each sentence; the console reads it and subscribes to it."""

    def collect(self, uuid: str, effects: Sequence[Effect]) -> None:
        """Collect the voice segments of a report; a listener for `Gateway.listen`."""
        for effect in effects:
            if not isinstance(effect, VoiceSeen):
                continue
            if self._recogniser is None:
                if effect.segment.eof:
                    self._waiting.add(uuid, effect.segment.id, self._monotonic())
            else:
                if effect.segment.segment == 0:
                    self._warm_up(self._recogniser)
                self._take(self._reassembler.add(uuid, effect.segment, self._monotonic()))

    async def run(self) -> None:
        """Recognise and carry out utterances until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tidy())
            while True:
                await self._work_on(*await self._queue.get())

    async def close(self) -> None:
        """Kill the recogniser process."""
        if self._warming is not None and not self._warming.done():
            self._warming.cancel()
            await asyncio.wait([self._warming], timeout=STOP_TIMEOUT)
        if self._recogniser is not None:
            await self._recogniser.close()

    async def say(self, uuid: str, sentence: str) -> Outcome:
        """Carry out a typed sentence as if the device had sent it as speech.

        An utterance of the device that waits, because nothing here recognises it, is answered by it.

        Raises:
            NotFoundError: there is no such device.
            WireError: the sentence is empty, too long or not printable.
            BusyError: too many sentences are being carried out.
        """
        text = parse_text("text", sentence.strip(), SENTENCE_LIMIT)
        known = await self._database.read(look_up, uuid)
        if self._typed >= TYPED_LIMIT:
            raise BusyError(f"{TYPED_LIMIT} sentences are being carried out already")
        self._typed += 1
        try:
            now = self._clock()
            utterance = self._waiting.take(known.uuid, self._monotonic())
            outcome = Outcome(known.uuid, now, TYPED, utterance=utterance, text=text)
            return await self._keep(await self._act_on(outcome, known))
        finally:
            self._typed -= 1

    # Utterances.

    def _warm_up(self, recogniser: Recogniser) -> None:
        """Let the model be loaded while the child still speaks: it takes seconds after ten idle minutes."""
        if self._warming is None or self._warming.done():
            self._warming = asyncio.create_task(recogniser.warm_up())

    def _take(self, ended: Sequence[Utterance | Broken]) -> None:
        for utterance in ended:
            try:
                self._queue.put_nowait((utterance, self._monotonic(), self._clock()))
            except asyncio.QueueFull:
                _log.warning(
                    "device %s: utterance %d dropped: %d are queued already",
                    utterance.uuid, utterance.id, QUEUE_LIMIT,
                )  # fmt: skip
                lost = Outcome(
                    utterance.uuid, self._clock(), VOICE, utterance=utterance.id, kind=Kind.FAILED
                )
                self._tell(lost)

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(TIDY_SECONDS)
            self._take(self._reassembler.expire(self._monotonic()))
            await asyncio.to_thread(self._title_lists.refresh)
            if self._recogniser is not None:
                await self._recogniser.rest_when_idle()

    async def _work_on(self, ended: Utterance | Broken, arrived: float, arrived_ms: int) -> None:
        outcome = Outcome(ended.uuid, arrived_ms, VOICE, utterance=ended.id)
        try:
            if isinstance(ended, Broken):
                error = f"the utterance was given up: {ended.reason}"
                outcome = replace(outcome, error=error, kind=Kind.FAILED)
            else:
                outcome = await self._understand(outcome, ended, arrived)
            await self._keep(outcome)
        except Exception:  # noqa: BLE001  # no failure of one utterance may stop the others
            _log.exception("device %s: utterance %d failed", ended.uuid, ended.id)

    async def _understand(self, outcome: Outcome, utterance: Utterance, arrived: float) -> Outcome:
        if self._recogniser is None:
            raise RuntimeError("an utterance without a recogniser")
        try:
            known = await self._database.read(look_up, utterance.uuid)
            if await self._is_gone(outcome):
                return replace(outcome, error=_GONE, kind=Kind.FAILED)
            sound = await asyncio.to_thread(decode, utterance)
            outcome = replace(outcome, audio_seconds=round(sound.seconds, 3))
            index = await self._index(known)
            started = self._monotonic()
            offered = self._offers.look(known.uuid, started)
            answers = spoken_answers(offered)
            understood = await understand(self._recogniser, sound, index, answers)
        except (
            RecogniserError, StagingError, SQLAlchemyError, WireError, AudioError, SpeexUnavailableError
        ) as error:  # fmt: skip
            return replace(outcome, error=str(error), kind=Kind.FAILED)
        seconds = round(self._monotonic() - started, 3)
        outcome = replace(outcome, text=understood.text, recognition_seconds=seconds)
        if self._waits(known.uuid) and self._monotonic() - arrived > UNDERSTOOD_SECONDS:
            return replace(outcome, error=_TOO_LATE, kind=Kind.FAILED)
        return await self._act_on_heard(outcome, known, understood)

    async def _act_on_heard(
        self, outcome: Outcome, known: Known, understood: Understood
    ) -> Outcome:
        outcome = self._reached("recognised", outcome)
        if understood.text is not None:
            self._offers.take(known.uuid, self._monotonic())
        intent = understood.intent
        if intent is None:
            kind = Kind.NOT_FOUND if understood.nearest else Kind.NOT_UNDERSTOOD
            return replace(outcome, error=understood.error, kind=kind, nearest=understood.nearest)
        if intent.action is Action.DECLINE:
            return replace(outcome, kind=Kind.DONE, intent=intent.to_json())
        return await self._carry_out(outcome, known, intent, exact=understood.exact)

    # From text to what the device did.

    async def _act_on(self, outcome: Outcome, known: Known) -> Outcome:
        outcome = self._reached("recognised", outcome)
        offered = self._offers.take(known.uuid, self._monotonic())
        chosen = choose(outcome.text or "", offered)
        if chosen is Choice.DECLINE:
            return replace(outcome, kind=Kind.DONE, intent={"action": chosen.value})
        if isinstance(chosen, str):
            return await self._carry_out(outcome, known, Intent(Action.PLAY, chosen), exact=True)
        try:
            named = await self._written_title(outcome.text or "", known)
            intent = find_intent(outcome.text or "") if named is None else named
            if intent is None:
                intent = named = await self._title_alone(outcome.text or "", known)
        except (NoTitleError, StagingError, WireError) as failure:
            return _failed(outcome, failure)
        if intent is None:
            return replace(outcome, error="there is no command in it")
        return await self._carry_out(outcome, known, intent, exact=named is not None)

    async def _written_title(self, sentence: str, known: Known) -> Intent | None:
        """Return the wish for a title that follows 播放 letter by letter: it may be a command too."""
        names = named_after_play(sentence)
        index = await self._index(known) if names else None
        if index is None:
            return None
        title = next((title for name in names if (title := index.exact(name))), None)
        return None if title is None else Intent(Action.PLAY, title)

    async def _title_alone(self, sentence: str, known: Known) -> Intent | None:
        """Return the wish for a title that is the whole sentence; raises NoTitleError: it resembles one."""
        index = await self._index(known)
        if index is None:
            return None
        names = named_alone(sentence)
        title = next((title for name in names if (title := index.exact(name))), None)
        if title is None and not forbids(sentence):
            match = await asyncio.to_thread(index.any_alone, names)
            title = match.title if match else None
        return None if title is None else Intent(Action.PLAY, title)

    async def _carry_out(
        self, outcome: Outcome, known: Known, intent: Intent, *, exact: bool = False
    ) -> Outcome:
        """Ask the device for ``intent``; ``exact``: its title is one of the catalogue as it is written."""
        device = Device(known.uuid, known.description, self._control)
        outcome = replace(outcome, intent=intent.to_json())
        try:
            settled = exact and intent.action is not Action.PLAY_ANY
            intent = intent if settled else await self._with_title(intent, known)
            outcome = self._reached("ordered", replace(outcome, intent=intent.to_json()))
            await device.carry_out(intent)
        except (
            ActionError, GatewayError, NoTitleError, StagingError, WireError
        ) as failure:  # fmt: skip
            outcome = _failed(outcome, failure)
        else:
            outcome = _answered(outcome, device.steps[-1])
        outcome = self._reached("done", outcome)
        return replace(outcome, steps=tuple(step.to_json() for step in device.steps))

    def _reached(self, stage: str, outcome: Outcome) -> Outcome:
        return replace(outcome, stages={**outcome.stages, stage: self._clock()})

    async def _with_title(self, intent: Intent, known: Known) -> Intent:
        """Replace the recognised title by the spelling of the title list, if there is one."""
        if intent.action not in (Action.PLAY, Action.PLAY_ANY):
            return intent
        index = await self._index(known)
        if index is None:
            return intent
        if intent.action is Action.PLAY_ANY:
            title = index.exact(intent.title) or self._chance.choice(index.titles)
            return Intent(Action.PLAY, title)
        match = await asyncio.to_thread(index.find, intent.title)
        return replace(intent, title=match.title)

    async def _is_gone(self, outcome: Outcome) -> bool:
        """Return whether what was said is erased by now: nothing of it is done or kept."""
        number = outcome.utterance or 0
        return await self._database.read(voice_ledger.is_gone, outcome.uuid, number, outcome.time)

    async def _index(self, known: Known) -> TitleIndex | None:
        return await asyncio.to_thread(self._title_lists.index, known.uuid, known.product)

    async def _keep(self, outcome: Outcome) -> Outcome:
        """Tell, store and publish an outcome, even if storing fails: it has happened."""
        self._tell(outcome)
        try:
            kept = await asyncio.to_thread(self.outcomes.add, outcome)
            # Looked at afterwards: whoever erases it meanwhile has not seen what is kept here.
            if outcome.source == VOICE and await self._is_gone(outcome):
                await asyncio.to_thread(self.outcomes.erase, _itself(outcome))
                return outcome
            outcome = kept
        except (StagingError, SQLAlchemyError) as error:
            _log.error("device %s: the outcome is not kept: %s", outcome.uuid, error)
        self.outcomes.publish(outcome)
        _log.info("device %s: %s", outcome.uuid, without_words(outcome.to_json()))
        return outcome

    def _tell(self, outcome: Outcome) -> None:
        """Answer the utterance of an outcome; nobody waits for the device."""
        answer = answer_of(outcome)
        if answer is None:
            return
        if answer.titles:
            self._offers.add(outcome.uuid, outcome.nearest, self._monotonic())
        if len(self._answering) >= ANSWERING_LIMIT:
            _log.warning("device %s: too many answers are being sent", outcome.uuid)
            return
        task = asyncio.create_task(self._answer(outcome.uuid, answer))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)


def _itself(outcome: Outcome) -> Texts:
    return Texts(outcome.uuid, spans=((outcome.utterance or 0, outcome.time),))


def _failed(outcome: Outcome, failure: Exception) -> Outcome:
    nearest = failure.nearest if isinstance(failure, NoTitleError) else ()
    return replace(outcome, error=str(failure), kind=kind_of_failure(failure), nearest=nearest)


def _answered(outcome: Outcome, last: Step) -> Outcome:
    error = None if last.succeeded else f"the device answered {last.code} {last.answer}".rstrip()
    return replace(outcome, error=error, kind=kind_of_answer(last))
