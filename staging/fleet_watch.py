"""Watches how the devices do: counts what their links and reports tell, and samples the fleet each minute.

Reports and links pass through the gateway of each process, and each counts its own; the server alone samples. A crash is
a start of the agent within `RESTART_SECONDS` after its link ended: systemd starts it again after three, and no machine
boots so fast. A start that an update has ordered is none.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence

from sqlalchemy.exc import SQLAlchemyError

from staging.errors import StoreBusyError
from staging.gateway.gateway import Gateway
from staging.recognition.kinds import Kind
from staging.recognition.outcomes import VOICE, Outcome, OutcomeLog
from staging.store import Database, alarms, health
from staging.store.effects import Effect, OtaEventSeen, OtaStateSeen, RunningVersion
from staging.store.health import Counts
from staging.store.history import HistoryPoint
from staging.times import Clock
from wire.errors import WireError
from wire.family import Why
from wire.fields import parse_object
from wire.ota import OtaEvent
from wire.utterance_times import FAULT, KEY_UTTERANCE_TIMES, LOST, UtteranceTimes, parse_times

SAMPLE_SECONDS = 60.0
FLUSH_SECONDS = 20.0
RESTART_SECONDS = 15.0
# How long after the last word of an update a start is the update's.
UPDATE_MS = 15 * 60_000
# Devices that are kept in mind for each purpose; beyond it the oldest are forgotten.
DEVICES_LIMIT = 20_000
# A sample that comes later than this counts for no more: the machine slept.
LONGEST_MS = 3 * 60_000
# Of `wire.utterance_times.STAGES`.
FIRST_SEGMENT = "first_segment"

_log = logging.getLogger(__name__)


class Memory:
    """Something of each device: the last `DEVICES_LIMIT` of them."""

    def __init__(self) -> None:
        """Start empty."""
        self._held: OrderedDict[str, int] = OrderedDict()

    def put(self, uuid: str, value: int) -> None:
        """Keep a value."""
        self._held[uuid] = value
        self._held.move_to_end(uuid)
        if len(self._held) > DEVICES_LIMIT:
            self._held.popitem(last=False)

    def get(self, uuid: str) -> int | None:
        """Return a value, None if there is none."""
        return self._held.get(uuid)

    def pop(self, uuid: str) -> int | None:
        """Return a value and forget it."""
        return self._held.pop(uuid, None)


class Counter:
    """What devices did since it was taken last; pure but for the clock."""

    def __init__(self, clock: Clock, online: Callable[[str], bool]) -> None:
        """``clock`` gives ms; ``online(uuid)`` says whether a device is connected."""
        self._clock, self._online = clock, online
        self._counts: dict[str, Counts] = {}
        self._left, self._updated, self._loading = Memory(), Memory(), Memory()

    def take(self) -> dict[str, Counts]:
        """Return what was counted, and begin anew."""
        counted, self._counts = self._counts, {}
        return counted

    def put_back(self, counted: dict[str, Counts]) -> None:
        """Count again what could not be stored; beyond the limit it is lost."""
        for uuid, counts in counted.items():
            if uuid in self._counts or len(self._counts) < DEVICES_LIMIT:
                self._of(uuid).add(counts)

    def note_change(self, uuid: str) -> None:
        """Note when a link ends."""
        if not self._online(uuid):
            self._left.put(uuid, self._clock())

    def note_reports(self, uuid: str, effects: Sequence[Effect]) -> None:
        """Count what a device reported."""
        for effect in effects:
            match effect:
                case RunningVersion():
                    self._note_start(uuid)
                case OtaEventSeen():
                    self._updated.put(uuid, self._clock())
                    if effect.report.event is OtaEvent.DOWNLOAD_COMPLETE:
                        self._of(uuid).update_bytes += 1
                case OtaStateSeen():
                    self._updated.put(uuid, self._clock())
                case HistoryPoint():
                    self._note_value(uuid, effect)

    def _of(self, uuid: str) -> Counts:
        return self._counts.setdefault(uuid, Counts())

    def _note_start(self, uuid: str) -> None:
        counts, now = self._of(uuid), self._clock()
        counts.starts += 1
        left, updated = self._left.pop(uuid), self._updated.get(uuid)
        is_soon = left is not None and 0 <= now - left <= RESTART_SECONDS * 1000
        is_update = updated is not None and 0 <= now - updated <= UPDATE_MS
        if is_soon and not is_update:
            counts.crashes += 1

    def _note_value(self, uuid: str, point: HistoryPoint) -> None:
        if point.key == "player":
            self._note_player(uuid, state_of(point.value))
        elif point.key == KEY_UTTERANCE_TIMES:
            self._note_listening(uuid, point.value)
            seconds = press_of(point.value)
            if seconds is not None:
                self._of(uuid).presses += 1
                self._of(uuid).press_time += round(seconds * 1000)

    def _note_listening(self, uuid: str, value: object) -> None:
        """Count a time of listening; what a program sent without a microphone is none."""
        times = times_of(value)
        if times is None or times.why == Why.FILE:
            return
        counts = self._of(uuid)
        counts.listened += 1
        counts.mic_faults += times.end == FAULT
        counts.unsent += times.end == LOST and FIRST_SEGMENT not in times.seconds

    def note_outcome(self, outcome: Outcome) -> None:
        """Count what became of a spoken sentence; typed ones say nothing of listening."""
        if outcome.source == VOICE:
            counts = self._of(outcome.uuid)
            counts.sentences += 1
            counts.not_understood += outcome.kind is Kind.NOT_UNDERSTOOD

    def _note_player(self, uuid: str, state: str) -> None:
        """Count a title that began to load: it sounded, or it did not."""
        if state == "loading":
            self._loading.put(uuid, 1)
        elif state == "playing" and self._loading.pop(uuid):
            self._of(uuid).plays += 1
        elif state == "idle" and self._loading.pop(uuid):
            self._of(uuid).failed_plays += 1


def state_of(value: object) -> str:
    """Return the state in a report of ``player``; "" for what is none."""
    try:
        read = parse_object(value, "player") if isinstance(value, str) else value
    except WireError:
        return ""
    state = read.get("state") if isinstance(read, dict) else None
    return state if isinstance(state, str) else ""


def times_of(value: object) -> UtteranceTimes | None:
    """Return a report of ``utterance_times``; None for what is none."""
    try:
        return parse_times(value)
    except WireError:
        return None


def press_of(value: object) -> float | None:
    """Return the seconds from a press of the button to the machine's answer; None: it was none, or has no answer."""
    times = times_of(value)
    if times is None:
        return None
    return times.seconds.get("answered") if times.why == Why.BUTTON else None


class FleetWatch:
    """Stores what was counted, and samples."""

    def __init__(
        self, database: Database, gateway: Gateway, clock: Clock, *, samples: bool
    ) -> None:
        """Watch a gateway's devices; ``samples``: whether this process samples the fleet too."""
        self._database, self._sessions, self._clock, self._samples = (
            database, gateway.sessions, clock, samples,
        )  # fmt: skip
        self.counter = Counter(clock, gateway.is_online)
        self._last = clock()
        self._round = 0
        self._has_twin = gateway.has_twin
        gateway.watch(self.counter.note_change)
        gateway.listen(self.counter.note_reports)

    async def run(self) -> None:
        """Store and sample until cancelled."""
        rounds = round(SAMPLE_SECONDS / FLUSH_SECONDS)
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self._round += 1
            try:
                await self.store()
                if self._samples and self._round % rounds == 0:
                    await self.sample()
            except Exception:  # noqa: BLE001  # figures of the fleet end no cloud that its devices need
                _log.exception("a look at the fleet failed")

    async def hear(self, outcomes: OutcomeLog) -> None:
        """Count what becomes of sentences until cancelled."""
        with outcomes.subscribe() as feed:
            async for outcome in feed:
                self.counter.note_outcome(outcome)

    async def store(self) -> None:
        """Store what was counted; what the store does not take now is kept."""
        counted = self.counter.take()
        if not counted:
            return
        try:
            await self._database.write(health.note, counted, self._clock())
        except (StoreBusyError, SQLAlchemyError) as error:
            _log.debug("how devices do is stored later: %s", error)
            self.counter.put_back(counted)

    async def sample(self) -> None:
        """Store what the fleet is like now."""
        now = self._clock()
        lasted, self._last = min(max(0, now - self._last), LONGEST_MS), now
        try:
            await self._database.write(health.sample, self._sessions.ids(), lasted, now)
            await self._look(now)
        except (StoreBusyError, SQLAlchemyError) as error:
            _log.warning("a minute of the fleet was not stored: %s", type(error).__name__)

    async def _look(self, now: int) -> None:
        """Let alarms begin and end."""
        twins = [uuid for uuid in self._sessions.by_uuid if self._has_twin(uuid)]
        seen = await self._database.read(alarms.look, self._sessions.ids(), twins, now)
        for alarm in await self._database.write(alarms.apply, seen, now):
            _log.info(
                "alarm %d: %s %s is %s", alarm.id, alarm.kind, alarm.subject, alarms.state_of(alarm)
            )
