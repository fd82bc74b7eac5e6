"""The effects that a report can have on the store, and their application in one transaction.

`staging.gateway.reports` decides which effects a report has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from staging.store import bind_tokens, family, history, ota, products, voice_keys, voice_ledger
from staging.store.history import HistoryPoint, Marks, Places, When
from staging.store.models import Device
from staging.store.overview import BATTERY, VOLUME
from staging.store.prepared import Prepared
from staging.store.repeats import Seen
from wire.abilities import FAMILY, Abilities
from wire.family import Spoken
from wire.ota import OtaEventReport, OtaState
from wire.reports import Sboms
from wire.utterance_times import KEY_UTTERANCE_TIMES
from wire.voice import VoiceSegment


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A keepalive (``alive``)."""


@dataclass(frozen=True, slots=True)
class VoiceSeen:
    """One segment of an utterance, for the device's history and for recognition."""

    key: str
    """The report's key, which depends on the firmware (`wire.reports.KEYS_VOICE`)."""
    segment: VoiceSegment


@dataclass(frozen=True, slots=True)
class RunningVersion:
    """The version that the device runs, of which parts it is, and until when it is supported (``package_info``)."""

    version: str
    sboms: Sboms = field(default_factory=Sboms)
    support_end: str | None = None
    """The day, YYYY-MM-DD; None: the device reported none."""


@dataclass(frozen=True, slots=True)
class BindTokenSeen:
    """The bind token that the device shows to its owner (``device_info``)."""

    bind_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AbilitiesSeen:
    """What the device reads (``device_info.reads``); it lasts as long as the connection."""

    reads: Abilities


@dataclass(frozen=True, slots=True)
class OtaEventSeen:
    """One ``ota_event``."""

    report: OtaEventReport


@dataclass(frozen=True, slots=True)
class OtaStateSeen:
    """One ``ota_state``."""

    transaction: str
    state: OtaState


@dataclass(frozen=True, slots=True)
class EraseSeen:
    """A parent erases utterances on the machine (``voice_erase``)."""

    spoken: tuple[Spoken, ...]


Effect = (
    Heartbeat
    | HistoryPoint
    | VoiceSeen
    | RunningVersion
    | BindTokenSeen
    | AbilitiesSeen
    | OtaEventSeen
    | OtaStateSeen
    | EraseSeen
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One report's effects, and the number by which a repeat is known."""

    effects: Sequence[Effect]
    number: int = 0
    when: When | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of reports.

    Attributes:
        effects: what those had that were no repeats, without late values: they are history only.
        repeats: how many were repeats.
        notes: to log, without secrets.
    """

    effects: Sequence[Effect]
    repeats: int
    notes: Sequence[str]


def apply_all(
    session: Session, device_id: int, epoch: str | None, reports: Sequence[Wanted], now: int
) -> Applied:
    """Apply reports of one epoch in order, without those that were applied before."""
    plain = all(isinstance(each, _PLAIN) for report in reports for each in report.effects)
    device = _marks(session, device_id) if plain else _object(session, device_id)
    seen = None if epoch is None else Seen(session, device_id, epoch, now)
    places = Places(session, device, now)
    done: list[Effect] = []
    notes: list[str] = []
    repeats = 0
    for report in reports:
        if seen is not None and not seen.is_new(report.number):
            repeats += 1
            continue
        each = (
            _apply(session, device, effect, now, places, report.when) for effect in report.effects
        )
        notes += [note for note in each if note]
        if report.when is None or not report.when.late:
            done += report.effects
    places.write()
    if seen is not None:
        seen.write()
    if isinstance(device, Marks):
        marks = {
            "device": device_id,
            "last": device.last_report_ms,
            "heard": device.last_heartbeat_time,
            "battery": device.battery,
            "volume": device.volume,
        }
        _MARK.run(session.connection(), marks)
    return Applied(done, repeats, notes)


# Of a percentage or a level.
SMALL_DIGITS = 3

_PLAIN = (Heartbeat, HistoryPoint)
"""Effects that need no object of the device's row, which costs more than all else of a report."""
_MARKS = Prepared(
    select(
        Device.last_report_ms,
        Device.last_heartbeat_time,
        Device.family_since,
        Device.battery,
        Device.volume,
    ).where(Device.id == bindparam("device"))
)
_MARK = Prepared(
    update(Device)
    .where(Device.id == bindparam("device"))
    .values(
        last_report_ms=bindparam("last"),
        last_heartbeat_time=bindparam("heard"),
        battery=bindparam("battery"),
        volume=bindparam("volume"),
    )
)


def _marks(session: Session, device_id: int) -> Marks:
    last, heard, since, battery, volume = _MARKS.run(
        session.connection(), {"device": device_id}
    ).one()
    return Marks(device_id, last, heard, since, battery, volume)


def _object(session: Session, device_id: int) -> Device:
    # Afresh: what was written without objects in the same transaction is not seen in one that is loaded.
    return session.get_one(Device, device_id, populate_existing=True)


def _apply(
    session: Session,
    device: Device | Marks,
    effect: Effect,
    now: int,
    places: Places,
    when: When | None,
) -> str | None:
    match effect:
        case Heartbeat():
            device.last_heartbeat_time = now
        case HistoryPoint():
            _store_point(session, device, effect, now, places, when)
    return (
        _apply_to_row(session, device, effect, now, places) if isinstance(device, Device) else None
    )


def _apply_to_row(
    session: Session, device: Device, effect: Effect, now: int, places: Places
) -> str | None:
    match effect:
        case VoiceSeen():
            _store_voice(session, device, effect, now, places)
        case EraseSeen():
            places.write()
            family.erase_spoken(session, device.id, effect.spoken, now)
        case AbilitiesSeen():
            bind_tokens.note_reads(device, renews=FAMILY in effect.reads)
        case RunningVersion():
            _run_version(session, device, effect, now)
        case BindTokenSeen():
            return _see_bind_token(device, effect.bind_token, now)
        case OtaEventSeen() | OtaStateSeen():
            return _apply_ota(session, device, effect, now)
    return None


def _apply_ota(
    session: Session, device: Device, effect: OtaEventSeen | OtaStateSeen, now: int
) -> str | None:
    if isinstance(effect, OtaEventSeen):
        known = ota.note_event(session, device, effect.report, now)
        return None if known else f"ota_event of unknown task {effect.report.transaction!r}"
    known = ota.note_state(session, device, effect.transaction, effect.state, now)
    return None if known else f"ota_state of unknown task {effect.transaction!r}"


def _store_point(
    session: Session,
    device: Device | Marks,
    point: HistoryPoint,
    now: int,
    places: Places,
    when: When | None,
) -> None:
    if point.key == KEY_UTTERANCE_TIMES and not history.is_gone(device, when):
        told = now if when is None else when.time
        if not voice_ledger.note_times(session, device.id, point.value, told):
            return
    if not history.is_gone(device, when) and not (when is not None and when.late):
        _note_value(device, point)
    places.add(point, when)


def _note_value(device: Device | Marks, point: HistoryPoint) -> None:
    """Keep the newest battery and volume in the device's row, for the order of the list."""
    if point.key == BATTERY:
        device.battery = _small_number(point.value)
    elif point.key == VOLUME:
        device.volume = _small_number(point.value)


def _small_number(value: object) -> int | None:
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    is_number = text.isascii() and text.isdigit() and len(text) <= SMALL_DIGITS
    return int(text) if is_number else None


def _store_voice(
    session: Session, device: Device, seen: VoiceSeen, now: int, places: Places
) -> None:
    if not voice_ledger.takes(session, device, seen.segment, now):
        return
    keys, value = voice_keys.of(session), seen.segment.to_json()
    value = value if keys is None else keys.seal(device.id, value)
    places.add(HistoryPoint(seen.key, value), None)
    voice_ledger.note_segment(session, device, seen.segment, device.last_report_ms)


def _run_version(session: Session, device: Device, running: RunningVersion, now: int) -> None:
    device.sbom, device.base_sbom = running.sboms.running or None, running.sboms.base or None
    device.support_end = running.support_end
    row = products.os_version(session, device.product_id, running.version)
    if device.os_version_id != row.id:
        device.os_version_id, device.update_time = row.id, now
    ota.note_version(session, device, now)


def _see_bind_token(device: Device, bind_token: str, now: int) -> str | None:
    if device.bind_token is None:
        device.bind_token, device.update_time = bind_token.lower(), now
        return "bind token was not known and is kept"
    known = bind_tokens.confirm(device, bind_token, now)
    return None if known else "bind token differs from the record; the record stays"
