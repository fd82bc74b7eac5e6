"""What is a family's on a device, and its end: cut off in one transaction, deleted in small steps afterwards.

An order to erase is a row of `Erasure` with a receipt. Whoever ordered it is answered when nothing of it can be seen any
more; `staging.erasing` deletes the rows, and looks after the other places. A step is small, so that writes of other
devices do not wait for a long one.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from staging.errors import NotFoundError
from staging.store import bind_tokens, ota, voice_ledger
from staging.store.history import AHEAD_MS
from staging.store.models import Binding, Device, Erasure, PresenceChange, Report, VoiceEntry
from wire.family import Spoken
from wire.reports import KEYS_VOICE
from wire.utterance_times import KEY_UTTERANCE_TIMES

_RECEIPT_BYTES = 16
# Rows that one step deletes.
STEP = 500
# Receipts are kept as long as the ledger.
KEEP_MS = voice_ledger.KEEP_MS


class Kind(StrEnum):
    """What an order to erase is about."""

    UNBIND = "unbind"
    """Everything of the family, because it has gone."""
    ALL = "all"
    """Everything of the family, which stays."""
    VOICE = "voice"
    """All voice."""
    UTTERANCES = "utterances"
    """Some utterances, by the open API."""
    DEVICE = "device"
    """Some utterances, on the device's page or by its command."""


def cut(session: Session, device: Device, kind: Kind, account_id: int | None, now: int) -> Erasure:
    """Cut everything off that is stored of a family: history, voice, name, and orders that wait."""
    until = max(now, device.last_report_ms)
    last = voice_ledger.last_of(session, device.id)
    if last is not None and not last.complete and until - last.last <= voice_ledger.SAME_MS:
        device.cut_utterance = last.utterance
    device.last_report_ms = device.family_since = until
    device.name, device.update_time = "", now
    device.battery = device.volume = None
    ota.drop_pending(session, device.id, now)
    return _order(session, device.id, kind, account_id, until, now)


def leave(session: Session, device_id: int, now: int) -> Erasure | None:
    """End a device's binding, with all that is its family's; None if nobody has it."""
    device, binding = session.get_one(Device, device_id), session.get(Binding, device_id)
    if binding is None:
        return None
    session.delete(binding)
    bind_tokens.renew(session, device, binding.account_id, now)
    return cut(session, device, Kind.UNBIND, binding.account_id, now)


def leave_unproven(session: Session, device: Device, now: int) -> None:
    """End the binding of an account that had bound a device with an old token; it never knew the present one."""
    binding = session.get_one(Binding, device.id)
    session.delete(binding)
    session.flush()
    cut(session, device, Kind.UNBIND, binding.account_id, now)


def erase_all(session: Session, device_id: int, account_id: int, now: int) -> Erasure:
    """Erase everything that is stored of a family that keeps its device."""
    return cut(session, session.get_one(Device, device_id), Kind.ALL, account_id, now)


def erase_voice(session: Session, device_id: int, account_id: int, now: int) -> Erasure:
    """Erase all voice of a device's family."""
    device = session.get_one(Device, device_id)
    until = max(now, device.last_report_ms)
    made = _order(session, device_id, Kind.VOICE, account_id, until, now)
    voice_ledger.mark_until(session, device_id, until, Kind.VOICE, now)
    return made


def erase_entries(
    session: Session, device_id: int, account_id: int, numbers: Sequence[int], now: int
) -> Erasure:
    """Erase utterances by their numbers in the ledger; raises NotFoundError for one that is not there."""
    found = voice_ledger.owned(session, device_id, numbers)
    if missing := sorted(set(numbers) - {entry.id for entry in found}):
        raise NotFoundError(f"id {missing[0]}: no such utterance, or it was erased before")
    return _erase(session, device_id, account_id, found, Kind.UTTERANCES, now)


def erase_spoken(
    session: Session, device_id: int, spoken: Sequence[Spoken], now: int
) -> Erasure | None:
    """Erase utterances as their device names them; what is not stored any more needs nothing."""
    found = [voice_ledger.find(session, device_id, each) for each in spoken]
    entries = [entry for entry in found if entry is not None and entry.erase_time is None]
    if not entries:
        return None
    return _erase(session, device_id, None, entries, Kind.DEVICE, now)


def _erase(
    session: Session,
    device_id: int,
    account_id: int | None,
    entries: Sequence[VoiceEntry],
    kind: Kind,
    now: int,
) -> Erasure:
    made = _order(session, device_id, kind, account_id, now, now, entries)
    voice_ledger.mark(session, entries, kind, now)
    # Some utterances are a few hundred rows: they go at once, so that nobody sees them any more.
    for entry in entries:
        made.row_count += _delete(session, device_id, voice_ledger.reports_of(session, entry))
    return made


def _order(
    session: Session,
    device_id: int,
    kind: Kind,
    account_id: int | None,
    until: int,
    now: int,
    entries: Sequence[VoiceEntry] | None = None,
) -> Erasure:
    of_device = (VoiceEntry.device_id == device_id, VoiceEntry.erase_time.is_(None))
    count = select(func.count()).select_from(VoiceEntry).where(*of_device)
    made = Erasure(
        receipt=secrets.token_hex(_RECEIPT_BYTES), device_id=device_id, account_id=account_id,
        kind=kind, until=until, order_time=now, row_count=0,
        entries=[] if entries is None else [entry.id for entry in entries],
        utterances=len(entries) if entries is not None else session.scalar(count) or 0,
    )  # fmt: skip
    session.add(made)
    session.flush()
    return made


def take_up(session: Session, order: Erasure, entries: Sequence[VoiceEntry], now: int) -> None:
    """Take up an order that a restored store did not know: nobody sees any more what it is about; `step` does the rest.

    The device's end of its family is restored already (`staging.store.taken_again`).
    """
    kind = Kind(order.kind)
    if kind in {Kind.UTTERANCES, Kind.DEVICE}:
        voice_ledger.mark(session, entries, kind, now)
        for entry in entries:
            times = voice_ledger.reports_of(session, entry)
            order.row_count += _delete(session, order.device_id, times)
    elif kind is Kind.VOICE:
        voice_ledger.mark_until(session, order.device_id, order.until, kind, now)
    else:
        ota.drop_pending(session, order.device_id, now)
    while step(session, order.receipt):
        continue


def step(session: Session, receipt: str) -> int:
    """Delete up to `STEP` rows that an order is about; return how many went, 0 when none is left."""
    order = session.get_one(Erasure, receipt)
    if order.kind in {Kind.UTTERANCES, Kind.DEVICE}:
        return 0
    wanted = select(Report.ts).where(Report.device_id == order.device_id, Report.ts <= order.until)
    if order.kind == Kind.VOICE:
        wanted = wanted.where(Report.key.in_([*KEYS_VOICE, KEY_UTTERANCE_TIMES]))
    gone = _delete(session, order.device_id, list(session.scalars(wanted.limit(STEP))))
    order.row_count += gone
    if not gone and order.kind in {Kind.UNBIND, Kind.ALL}:
        session.execute(
            delete(VoiceEntry).where(
                VoiceEntry.device_id == order.device_id, VoiceEntry.start <= order.until
            )
        )
        # When the family switched it on and off is the family's too.
        session.execute(
            delete(PresenceChange).where(
                PresenceChange.device_id == order.device_id, PresenceChange.ts <= order.until
            )
        )
    return gone


def _delete(session: Session, device_id: int, times: Sequence[int]) -> int:
    if times:
        voice_ledger.forget_keys(session, device_id, times)
        session.execute(delete(Report).where(Report.device_id == device_id, Report.ts.in_(times)))
    return len(times)


@dataclass(frozen=True, slots=True)
class Texts:
    """The understood sentences that an order is about; times are Unix, ms.

    Attributes:
        uuid: the device.
        until: all of its sentences up to this time; None: those of ``spans`` alone.
        ahead: as well those after the first of these times and up to the second one: of a clock that was ahead.
        voice_only: of these, those that were spoken and not typed.
        spans: utterances by their numbers and starts.
    """

    uuid: str
    until: int | None = None
    ahead: tuple[int, int] | None = None
    voice_only: bool = False
    spans: tuple[tuple[int, int], ...] = ()


def texts_of(session: Session, receipt: str, now: int) -> Texts:
    """Return the sentences that an order is about; ``now`` in ms.

    Of a time that is still to come are those that were said before it, when the clock was ahead.
    """
    order = session.get_one(Erasure, receipt)
    uuid = session.get_one(Device, order.device_id).uuid
    if order.kind not in {Kind.UTTERANCES, Kind.DEVICE}:
        ahead = (now + AHEAD_MS, order.order_time) if order.order_time > now + AHEAD_MS else None
        return Texts(uuid, order.until, ahead, voice_only=order.kind == Kind.VOICE)
    of_order = select(VoiceEntry.utterance, VoiceEntry.start).where(
        VoiceEntry.id.in_(order.entries)
    )
    spans = tuple((number, start) for number, start in session.execute(of_order))
    return Texts(uuid, spans=spans)


def waiting(session: Session) -> list[str]:
    """Return the receipts of orders that are not done, oldest first."""
    open_ones = select(Erasure.receipt).where(Erasure.done_time.is_(None))
    return list(session.scalars(open_ones.order_by(Erasure.order_time)))


def finish(session: Session, receipt: str, now: int) -> None:
    """Note that an order is done everywhere."""
    session.get_one(Erasure, receipt).done_time = now


def forget_old(session: Session, now: int) -> None:
    """Delete the receipts that are too old to be asked for."""
    session.execute(
        delete(Erasure).where(Erasure.done_time.is_not(None), Erasure.order_time < now - KEEP_MS)
    )


def receipt_of(session: Session, receipt: str, account_id: int) -> tuple[Erasure, str] | None:
    """Return an order and its device's uuid, for the account that gave it; None if it gave no such one."""
    row = session.execute(
        select(Erasure, Device.uuid)
        .join(Device, Device.id == Erasure.device_id)
        .where(Erasure.receipt == receipt, Erasure.account_id == account_id)
    ).one_or_none()
    return None if row is None else (row[0], row[1])
