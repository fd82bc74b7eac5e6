"""Tells the observer of a simulated world what the product's classes do, for all seeds of a process; nothing is changed by that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.link.outbox_rows import EACH_START
from agent.link.outbox_store import Store
from agent.link.reconnect import ReconnectingLink
from agent.voice.stream import LiveSender
from ota.order.record import TaskRecord
from resources.dispatch import Dispatch
from staging.errors import StoreBusyError
from staging.gateway.intake import Intake
from staging.gateway.session import Session
from staging.store.effects import VoiceSeen
from tools.sim.clock import START
from tools.sim.last_order import watch_teller
from tools.sim.logs import Router
from tools.sim.machine import CURRENT_MACHINE
from tools.sim.promises import watch_orders
from tools.sim.silence import watch_stops
from wire.codes import Code

if TYPE_CHECKING:
    from tools.sim.observer import Observer

# The machine learns the cloud's time to the length of a round trip.
LATE_SECONDS = 1.0


class Watched:
    """Whose observer hears what the product's classes do."""

    observer: Observer | None = None


WATCHED = Watched()


def watch_promises() -> None:
    """Note what the outbox takes and lets go, for the rest of the process; nothing is changed by that."""
    put = Store._put  # noqa: SLF001

    def noted_put(self: Store, row: Any, once: str | None) -> bool:
        if WATCHED.observer is not None:
            WATCHED.observer.offered[row.key] += 1
        stored = put(self, row, once)
        observer, machine = WATCHED.observer, CURRENT_MACHINE.get()
        if observer is None or machine is None or machine.life is None or machine.mount.dead:
            return stored
        if row.key in EACH_START:
            observer.excuse(row)
        if stored and not machine.mount.dead:
            observer.accepted[row.epoch, row.number] = row.key
            observer.note_fleeting(machine, (row.epoch, row.number))
        return stored

    Store._put = noted_put  # type: ignore[method-assign]  # noqa: SLF001
    _watch_numbers()
    _watch_refusals()
    _watch_requests()
    _watch_utterances()
    _watch_waiting()
    _watch_bugs()
    _watch_ends()
    _watch_links()
    watch_orders(WATCHED)
    watch_stops(lambda: None if WATCHED.observer is None else WATCHED.observer.promises)
    watch_teller(lambda: None if WATCHED.observer is None else WATCHED.observer.last_order)


def _watch_numbers() -> None:
    """Note the number of each new report, also of one that no disk takes."""
    new_row = Store._new_row  # noqa: SLF001

    def noted_row(self: Store, key: str, value: object) -> Any:
        row = new_row(self, key, value)
        if WATCHED.observer is not None:
            WATCHED.observer.note_number(str(row.epoch), int(row.number or 0))
        return row

    Store._new_row = noted_row  # type: ignore[method-assign]  # noqa: SLF001


def _watch_refusals() -> None:
    """Count the reports that the cloud could not take, but for voice: over MQTT that has no answer, so that nobody could wait for one."""
    apply = Intake.apply

    async def noted_apply(self: Intake, session: Session, epoch: str | None, wanted: Any) -> Any:
        try:
            return await apply(self, session, epoch, wanted)
        except StoreBusyError:
            observer = WATCHED.observer
            is_voice = any(isinstance(e, VoiceSeen) for each in wanted for e in each.effects)
            if (
                observer is not None
                and session.identity.uuid == observer.machine.name
                and not is_voice
            ):
                observer.refusals.note(observer.world.loop.time())
            raise

    Intake.apply = noted_apply  # type: ignore[method-assign]


def _watch_requests() -> None:
    handle = Dispatch.handle

    async def noted_handle(self: Dispatch, request: Any, *, local: bool = False) -> Any:
        answer = await handle(self, request, local=local)
        if WATCHED.observer is not None and answer.code == Code.CHANGED:
            _note_changed(WATCHED.observer, request)
        return answer

    Dispatch.handle = noted_handle  # type: ignore[method-assign]


def _note_changed(observer: Observer, request: Any) -> None:
    """Note a request that was carried out."""
    path, machine = "/".join(request.path), CURRENT_MACHINE.get()
    if request.until_ms is not None:
        late = START + observer.world.loop.time() - request.until_ms / 1000
        if late > LATE_SECONDS:
            observer.late.append(f"PUT {request.path} was done {late:.1f} s after its deadline")
    if request.id:
        observer.note_done(request)
    if machine is not None and path == "microphone" and request.payload in {b"0", b"false"}:
        observer.hear_mute(machine)


def _watch_utterances() -> None:
    begin = LiveSender.begin

    def noted_begin(self: LiveSender, *words: Any, **named: Any) -> Any:
        made = begin(self, *words, **named)
        if WATCHED.observer is not None and made is not None:
            WATCHED.observer.heard = made.id
            WATCHED.observer.forbidden.note_utterance(made)
            WATCHED.observer.count("utterances heard")
        return made

    LiveSender.begin = noted_begin  # type: ignore[method-assign]


def _watch_waiting() -> None:
    request = Session.request

    async def noted_request(self: Session, *words: Any, **named: Any) -> Any:
        if WATCHED.observer is not None:
            others = WATCHED.observer.most_waiting
            WATCHED.observer.most_waiting = max(others, self.waiting)
        return await request(self, *words, **named)

    Session.request = noted_request  # type: ignore[method-assign]


def _watch_ends() -> None:
    """Let the power go a few calls of the disk after an update begins to tell its end, where that is wanted."""
    report = TaskRecord.report_final

    async def cut_report(self: TaskRecord) -> None:
        observer, machine = WATCHED.observer, CURRENT_MACHINE.get()
        if observer is not None and machine is not None and self.owes_report:
            world = observer.world
            if world.cut_at_end and machine is world.machine:
                machine.mount.cut_at = machine.mount.steps + world.cut_at_end
                world.cut_at_end = 0
        await report(self)

    TaskRecord.report_final = cut_report  # type: ignore[method-assign]


def _watch_links() -> None:
    """Count how often the machine was let in: who comes and goes between two looks is seen at none."""
    serve = ReconnectingLink._serve  # noqa: SLF001

    async def noted_serve(self: ReconnectingLink, session: Any) -> Any:
        observer = WATCHED.observer
        if observer is not None and CURRENT_MACHINE.get() is observer.machine:
            observer.link.came += 1
        return await serve(self, session)

    ReconnectingLink._serve = noted_serve  # type: ignore[method-assign]  # noqa: SLF001


def _watch_bugs() -> None:
    """Note each error that the product logs with its traceback: it expected none there, whoever goes on afterwards."""
    handle = Router.handle

    def noted_handle(self: Router, record: Any) -> bool:
        is_of_life = handle(self, record)
        if is_of_life and WATCHED.observer is not None and record.exc_info:
            told = f"{record.getMessage()}: {record.exc_info[0].__name__}: {record.exc_info[1]}"
            WATCHED.observer.promises.failed.append(told)
        return is_of_life

    Router.handle = noted_handle  # type: ignore[method-assign]
