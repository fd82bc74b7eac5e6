"""Listens once at a time: microphone → endpointer → the cloud, as the table of `agent.voice.states` says.

Everything happens in the event loop's thread: a block that arrives is judged and encoded at once (a
millisecond), and the only task of a session waits for the deadline of its state.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from agent.voice.answers import EVENTS, LATER, AnswerBook, Namer, NoNamer, Use
from agent.voice.gate import Gate, OpenGate
from agent.voice.session import End, ListeningError, Session
from agent.voice.states import Course, Effect, Event, State
from agent.voice.stream import Drop, LiveSender, LiveUtterance
from audio.endpoint import Endpointer, EndpointRules
from audio.endpoint import Event as Heard
from audio.errors import AudioError, SpeexUnavailableError
from audio.vad import Vad
from machine.errors import ResourceError
from machine.microphone import FaultKind, Microphone, MicrophoneError
from resources.announce.cues import Cue
from wire.answers import Result, Title, UtteranceAnswer
from wire.family import Why

# A tone takes 0.2 s and a prompt 2 s. A sound device that hangs makes the machine no longer deaf than this.
CUE_SECONDS, PROMPT_SECONDS = 1.0, 3.0
# The story goes on by itself afterwards; a session ends without it if the player hangs.
RELEASE_SECONDS = 3.0

_TELLS = {
    Effect.CUE: (Cue.LISTEN, CUE_SECONDS),
    Effect.ASK: (Cue.NOT_UNDERSTOOD, PROMPT_SECONDS),
    Effect.TELL_FAULT: (Cue.ERROR, CUE_SECONDS),
    Effect.TELL_LOST: (Cue.NO_NETWORK, PROMPT_SECONDS),
    Effect.TELL_NOT_UNDERSTOOD: (Cue.NOT_UNDERSTOOD, PROMPT_SECONDS),
    Effect.TELL_NOT_FOUND: (Cue.NOT_FOUND, PROMPT_SECONDS),
}

_log = logging.getLogger(__name__)

Say = Callable[[Cue], "asyncio.Future[bool]"]
Recall = Callable[[], Sequence[bytes]]
"""Returns the sound since a wake word, the newest block last."""
Hold = Callable[[], AbstractAsyncContextManager[None]]


class Listener:
    """The machine's ear. One session at a time; `close` ends it."""

    def __init__(
        self,
        microphone: Microphone,
        make_vad: Callable[[], Vad],
        sender: LiveSender,
        *,
        hold: Hold,
        say: Say,
        rules: EndpointRules | None = None,
        clock: Callable[[], float] = time.monotonic,
        muted: bool = False,
    ) -> None:
        """Listen with ``microphone``.

        Args:
            microphone: gives blocks while it is open.
            make_vad: makes a detector for each session.
            sender: begins utterances.
            hold: silences the story for as long as its block lasts.
            say: lets a cue sound; the result is whether it was heard to its end.
            rules: when an utterance begins and ends.
            clock: monotonic seconds.
            muted: whether the microphone must not be opened until it is allowed again.
        """
        self._microphone = microphone
        self._make_vad = make_vad
        self._sender = sender
        self._hold = hold
        self._say = say
        self._rules = rules
        self._clock = clock
        self._course = Course(clock(), muted=muted)
        self.gate: Gate = OpenGate()
        """Asked before each session, and told when the microphone is open."""
        self._held = False  # a button is held: its release ends what is said
        self._recall: Recall | None = None
        self._running: asyncio.Task[Session] | None = None
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._recording: asyncio.Task[None] | None = None
        self._offering: asyncio.Task[None] | None = None
        self._utterance: LiveUtterance | None = None
        self._endpointer: Endpointer | None = None
        self._closing = False
        self._answers = AnswerBook()
        self._titles: tuple[Title, ...] = ()
        self._speaks = 0  # how many of our own cues sound
        self._began = self._opened_at = 0.0
        self._now = Session()
        self.last: Session | None = None
        """The last session that ended."""
        self.namer: Namer = NoNamer()
        """Says the names of titles; set before the first use."""
        self.on_ended: Callable[[Session], None] = lambda _session: None
        """Called with each session that has ended, and with each utterance of one that goes on."""

    @property
    def state(self) -> State:
        """What is done now."""
        return self._course.state

    @property
    def hears(self) -> bool:
        """Whether the microphone is open, or about to be."""
        return self.state in {State.OPENING, State.WAITING, State.ASKED, State.SPEAKING}

    @property
    def busy(self) -> bool:
        """Whether a session goes on."""
        return self._running is not None

    async def listen(
        self, *, held: bool = False, recall: Recall | None = None, why: Why = Why.BUTTON
    ) -> Session:
        """Listen until somebody has spoken; return how it ended.

        Args:
            held: as if `hold` were called at once.
            why: what opens the microphone.
            recall: asked at the first block for the sound before it: the child may have gone on
                speaking after a wake word.

        Raises:
            ListeningError: a session goes on already.
        """
        if self._running is not None:
            raise ListeningError(f"listen: the machine is {self.state} already")
        if self.state is State.MUTED:
            return Session(End.MUTED)
        if (reason := self.gate.refusal()) is not None:
            return self._refuse(reason)
        self._began, self._now, self._held = self._clock(), Session(why=why), held
        self._recall = recall
        self._running = asyncio.create_task(self._run())
        self._happen(Event.LISTEN if self._sender.is_up else Event.LOST)
        # Who asked may go away; the session ends by its own deadlines.
        return await asyncio.shield(self._running)

    def _refuse(self, reason: str) -> Session:
        self.last = Session(End.REFUSED, reason)
        self._say(Cue.NOT_LISTENING)
        _log.info("listen: %s", reason)
        return self.last

    def hold(self) -> None:
        """Take all that is heard in this session for speech, until `release` or the longest utterance."""
        self._held = self._running is not None

    def release(self) -> bool:
        """End what is said, since the button is released; return whether it was held and the microphone open."""
        held, self._held = self._held and self.hears, False
        if held:
            self._happen(Event.ENDED if self.state is State.SPEAKING else Event.CANCEL)
        return held

    async def cancel(self) -> bool:
        """End the session, and wait until it has; return whether there was one."""
        return await self._end_by(Event.CANCEL)

    async def mute(self, *, muted: bool) -> None:
        """Close the microphone for good, and wait until it is closed; or allow it again."""
        await self._end_by(Event.MUTE if muted else Event.UNMUTE)

    def note_order(self) -> None:
        """Take an order that has come as the cloud's answer to what was said last."""
        if self._now.end is End.SENT:
            if self.state is State.ANSWERING:
                self._answers.order()
            self._happen(Event.ANSWERED)

    def note_answer(self, answer: UtteranceAnswer) -> None:
        """Take the cloud's answer to an utterance; one that nobody waits for is told, or counted."""
        waits = self.state is State.ANSWERING
        use = self._answers.use(answer.id, answer.result, self._clock(), waits=waits)
        if use in {Use.AWAITED, Use.DONE, Use.LATE}:
            self._note_result(answer)
        if use is Use.AWAITED:
            # The cloud has all of it, whatever became of its acknowledgement.
            self._now.end = End.SENT
            self._titles = answer.titles
            offered = self.namer.can_tell(answer.titles) and self.gate.refusal() is None
            self._happen(Event.OFFERED if offered else EVENTS[answer.result])
        told = use is Use.LATE or (use in {Use.AWAITED, Use.DONE} and answer.result is Result.DONE)
        # Who asks anew does not wait for it any more, and the microphone would hear it.
        if told and not self.hears:
            self._say(LATER[answer.result])

    def _note_result(self, answer: UtteranceAnswer) -> None:
        """Keep the answer with the session of its utterance: another one may go on by now."""
        if answer.id == self._now.id:
            self._now.times.setdefault("answered", self._clock() - self._began)
        for session in (self._now, self.last):
            if session is not None and session.id == answer.id:
                session.answered, session.result = True, answer.result

    async def close(self) -> None:
        """End for good; nobody has closed the microphone, so a session that goes on is cancelled."""
        self._closing = True
        await self.mute(muted=True)

    def to_json(self) -> dict[str, object]:
        """Render for ``status``."""
        return {
            "state": str(self.state), "microphone": self._microphone.name,
            "faults": dict(self._microphone.faults), "utterances": dict(self._sender.to_json()),
            "answers": dict(self._answers.counts),
            "last": None if self.last is None else self.last.to_json(),
        }  # fmt: skip

    async def _end_by(self, event: Event) -> bool:
        running = self._running
        self._happen(event)
        if running is None:
            return False
        await asyncio.wait([running])
        return True

    # One session.

    async def _run(self) -> Session:
        released = asyncio.Event()
        held = self._start(self._silence_story(released))
        try:
            while not self._course.resting:
                await self._until_change_or_deadline()
        finally:
            await self._clear_up()
            released.set()
            await asyncio.wait([held], timeout=RELEASE_SECONDS)
            self._running = None
            self._end_page()
        return self._now

    def _measure(self) -> None:
        """Keep with the session how much of its utterance was sent."""
        utterance = self._utterance
        if utterance is not None and utterance.id == self._now.id:
            self._now.spoken_seconds, self._now.size = utterance.seconds, utterance.size

    def _end_page(self) -> None:
        """Keep and tell how it went until now."""
        now = self.last = self._now
        now.elapsed = self._clock() - self._began
        self._measure()
        _log.info("listen: %s%s", now.end, now.reason and f": {now.reason}")
        self.on_ended(now)

    async def _silence_story(self, released: asyncio.Event) -> None:
        """Hold the story until ``released``; a player that fails does not end the session."""
        try:
            async with self._hold():
                await released.wait()
        except ResourceError as error:
            _log.warning("listen: the story: %s", error)

    async def _until_change_or_deadline(self) -> None:
        due = self._course.due()
        self._changed.clear()
        try:
            async with asyncio.timeout(None if due is None else max(0.0, due - self._clock())):
                await self._changed.wait()
        except TimeoutError:
            # An utterance that the cloud has not acknowledged by now is none.
            is_late = self.state is State.ANSWERING and self._now.end is not End.SENT
            if is_late:
                self._now.reason = "the cloud has not acknowledged all of it in time"
            elif self.state is State.ANSWERING:
                self._now.reason = "the cloud has not answered in time"
            self._happen(Event.LOST if is_late else Event.DEADLINE)

    async def _clear_up(self) -> None:
        """Leave nothing open, whatever ended the session."""
        self._close_microphone()
        self._measure()
        if self._offering is not None:
            self._offering.cancel()
            await asyncio.wait([self._offering])
            self._offering = None
        if self._recording is not None:
            await asyncio.wait([self._recording])
            self._recording = None
        if self._utterance is not None:
            await self._utterance.close()
            self._utterance = None
        self._endpointer = None

    # What happens, and what is done about it.

    def _happen(self, event: Event) -> None:
        before = self.state
        effects = self._course.take(event, self._clock())
        self._note(event, before)
        for effect in effects:
            self._do(effect)
        self._changed.set()

    def _note(self, event: Event, before: State) -> None:
        """Remember how it goes, for `Session`."""
        now = self._now
        if before is not self.state:
            now.times.setdefault(str(event), self._clock() - self._began)
        if event is Event.ANSWERED and before is State.ANSWERING:
            now.answered = True
        if before is self.state or now.end is End.SENT:
            return
        ends = {
            State.FAULT: End.LOST if event is Event.LOST else End.FAULT,
            State.MUTED: End.CANCELLED if self._closing else End.MUTED,
        }
        if before is State.ASKED and event is Event.DEADLINE:
            now.end = End.NOTHING
        else:
            now.end = ends.get(self.state, now.end)

    def _do(self, effect: Effect) -> None:
        match effect:
            case Effect.OPEN:
                self._open_microphone()
            case Effect.CLOSE:
                self._close_microphone()
            case Effect.SEND:
                self._begin_utterance()
            case Effect.FINISH if self._utterance is not None:
                self._start(self._finish(self._utterance))
            case Effect.DROP if self._utterance is not None and self._utterance.drop():
                self._sender.count(Drop.ENDED)
            case Effect.HEARD:
                self._say(Cue.HEARD)
            case Effect.OFFER:
                self._offering = self._start(self._offer(self._titles))
            case _ if effect in _TELLS:
                self._speaks += 1
                self._start(self._tell(*_TELLS[effect]))

    def _open_microphone(self) -> None:
        if self._now.id is not None:  # once more, after an offer
            self._end_page()
            self._began, self._held = self._clock(), False
            self._now = Session(why=self._now.why)
        self._endpointer = Endpointer(self._make_vad(), self._rules)
        self._opened_at = self._clock()
        self._recording = self._start(self._record(self._recording))

    async def _record(self, before: asyncio.Task[None] | None) -> None:
        """Record when what recorded before has ended: two children would be one too many."""
        if before is not None:
            await asyncio.wait([before])
        self.gate.opened()
        try:
            await self._microphone.keep_open(self._take, self._on_fault)
        finally:
            self.gate.closed()

    async def _offer(self, titles: Sequence[Title]) -> None:
        """Say the titles' names, then listen once more."""
        session = self._now
        heard = await self.namer.tell(titles)
        if session is not self._now:
            return
        if not heard or self.gate.refusal() is not None:
            self._happen(Event.UNHEARD)
        else:
            self._happen(Event.TOLD if self._sender.is_up else Event.LOST)

    def _close_microphone(self) -> None:
        # Once: a second time would interrupt its end.
        if self._recording is not None and not self._recording.cancelling():
            self._recording.cancel()
            self._now.open_seconds = self._clock() - self._opened_at

    async def _tell(self, cue: Cue, seconds: float) -> None:
        """Let a cue sound, and be deaf meanwhile: the microphone hears it too."""
        session = self._now
        try:
            await asyncio.wait([self._say(cue)], timeout=seconds)
        finally:
            self._speaks -= 1
        if session is self._now:
            self._happen(Event.TOLD)

    def _take(self, block: bytes) -> None:
        """Take a block from the microphone."""
        if self._endpointer is None:
            return
        if self.state is State.OPENING:
            self._now.reason = ""  # of a try that failed
            if self._recall is not None:
                self._endpointer.recall(self._recall()[:-1])  # the newest is this block
            self._happen(Event.OPENED)
        if self._speaks and self.state is not State.SPEAKING:
            self._endpointer.keep(block)
            return
        if self._held:
            self._endpointer.hold()
        found = self._endpointer.add(block)
        if found.event is Heard.START:
            self._happen(Event.BEGAN)
        if self._utterance is not None and self.state is State.SPEAKING:
            self._utterance.add_all(found.blocks, begins=found.event is Heard.START)
        if found.event in {Heard.END, Heard.LIMIT}:
            self._happen(Event.ENDED)

    def _on_fault(self, error: MicrophoneError) -> None:
        self._now.reason = str(error)
        # Without anything that records, no further try helps.
        hopeless = error.kind is FaultKind.NO_BACK_END and self.state is State.OPENING
        self._happen(Event.DEADLINE if hopeless else Event.BROKEN)

    def _begin_utterance(self) -> None:
        try:
            self._utterance = self._sender.begin(self._on_drop, self._on_segment)
        except (AudioError, SpeexUnavailableError) as error:
            _log.error("listen: %s", error)
            self._now.reason = str(error)
            self._happen(Event.BROKEN)
            return
        self._now.id = self._utterance.id
        self._answers.begin(self._utterance.id, self._clock())

    def _on_segment(self, count: int) -> None:
        self._now.segments = count
        self._now.times.setdefault("first_segment", self._clock() - self._began)

    def _on_drop(self, reason: Drop, why: str) -> None:
        self._sender.count(reason)
        self._now.reason = why
        self._happen(Event.LOST)

    async def _finish(self, utterance: LiveUtterance) -> None:
        if await utterance.finish() and utterance is self._utterance:
            self._sender.count("sent")
            self._answers.end(self._clock())
            self._now.end = End.SENT
            self._now.times["sent"] = self._clock() - self._began

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
