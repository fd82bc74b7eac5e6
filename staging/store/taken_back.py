"""What a transaction takes back: erased voice, unbound devices, ended tokens, changed passwords. It is noted as lines.

A backup is older than the store. Were it restored alone, what was erased since would be there again, and whoever
lost a right since would have it again. So each transaction that takes something back is noted beside the store
(`staging.taken_back`), before its commit, and `staging.store.taken_again` does it once more after a restoring. The lines
name rows by what stays the same in every store (uuids, names), never by their numbers.

What changes these columns need not know of it: the session notes it when it writes them. Statements that change rows
without their objects call `note`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import event, inspect, select
from sqlalchemy.orm import Session

from staging.store.models import (
    WITHDRAWN,
    Account,
    App,
    AppProduct,
    Base,
    Binding,
    Device,
    Erasure,
    Product,
    Strategy,
    VoiceEntry,
)

Line = dict[str, Any]
_LINES = "taken back"

DEVICE_COLUMNS = ("token", "token_time", "bind_token", "next_bind_token", "family_since", "cut_utterance")  # fmt: skip
ACCOUNT_COLUMNS = ("password", "status", "role", "generation")
APP_COLUMNS = ("secret", "web_origins")
_WATCHED: Mapping[type[Base], frozenset[str]] = {
    Device: frozenset({*DEVICE_COLUMNS, "barred"}),
    Account: frozenset(ACCOUNT_COLUMNS),
    App: frozenset(APP_COLUMNS),
    Strategy: frozenset({"status"}),
}


class Writing(Session):
    """A session that notes what its transaction takes back."""


def note(session: Session, line: Line) -> None:
    """Note what a statement takes back that changes rows without their objects."""
    session.info.setdefault(_LINES, []).append(line)


def lines(session: Session) -> Sequence[Line]:
    """Return what was noted in the session."""
    found: list[Line] = session.info.get(_LINES, [])
    return found


def keep(session: Session, count: int) -> None:
    """Keep the first ``count`` lines alone: the work that noted the others has failed."""
    del session.info.get(_LINES, [])[count:]


@event.listens_for(Writing, "after_flush")
def _after_flush(session: Session, _context: object) -> None:
    for row in session.dirty:
        watched = _WATCHED.get(type(row))
        if watched is not None and not watched.isdisjoint(inspect(row).committed_state):
            _note_changed(session, row)
    for row in session.deleted:
        if isinstance(row, Binding):
            device, account = _uuid(session, Device, row.device_id), _uuid(session, Account, row.account_id)  # fmt: skip
            note(session, {"kind": "unbound", "device": device, "account": account})
        elif isinstance(row, AppProduct):
            _note_product(session, row)
    for row in session.new:
        if isinstance(row, Erasure):
            _note_erasure(session, row)


def _note_changed(session: Session, row: object) -> None:
    if isinstance(row, Device):
        barred = session.scalars(select(Account.uuid).where(Account.id.in_(row.barred))).all()
        values = {name: getattr(row, name) for name in DEVICE_COLUMNS}
        note(session, {"kind": "device", "uuid": row.uuid, **values, "barred": list(barred)})
    elif isinstance(row, Account):
        values = {name: getattr(row, name) for name in ACCOUNT_COLUMNS}
        note(session, {"kind": "account", "uuid": row.uuid, **values})
    elif isinstance(row, App):
        values = {name: getattr(row, name) for name in APP_COLUMNS}
        note(session, {"kind": "app", "apikey": row.apikey, **values})
    elif isinstance(row, Strategy) and row.status == WITHDRAWN:
        # The number alone may be another one's in an older store.
        note(session, {"kind": "strategy", "id": row.id, "create_time": row.create_time})


def _note_product(session: Session, row: AppProduct) -> None:
    app = session.scalar(select(App.apikey).where(App.id == row.app_id))
    product = session.scalar(select(Product.name).where(Product.id == row.product_id))
    note(session, {"kind": "app_product", "apikey": app, "product": product})


def _note_erasure(session: Session, row: Erasure) -> None:
    wanted = select(VoiceEntry.utterance, VoiceEntry.start).where(VoiceEntry.id.in_(row.entries))
    note(session, {
        "kind": "erasure", "receipt": row.receipt, "device": _uuid(session, Device, row.device_id),
        "account": _uuid(session, Account, row.account_id), "what": row.kind, "until": row.until,
        "utterances": row.utterances, "order_time": row.order_time,
        "entries": [list(each) for each in session.execute(wanted)],
    })  # fmt: skip


def _uuid(session: Session, table: type[Device | Account], number: int | None) -> str | None:
    return session.scalar(select(table.uuid).where(table.id == number))
