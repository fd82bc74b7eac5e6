"""Takes back in a restored store what was taken back since its backup was made: `staging.store.taken_back` has the lines.

A line about a row that the restored store does not have changes nothing, and so does one that was carried out already.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from staging.store import family
from staging.store.models import (
    WITHDRAWN,
    AccessToken,
    Account,
    App,
    AppProduct,
    Binding,
    Device,
    Erasure,
    Product,
    Strategy,
    VoiceEntry,
)
from staging.store.taken_back import ACCOUNT_COLUMNS, APP_COLUMNS, DEVICE_COLUMNS

_log = logging.getLogger(__name__)


def apply(session: Session, lines: Iterable[Mapping[str, Any]], now: int) -> int:
    """Take everything back once more, in its order; return how many lines changed something. ``now`` in ms."""
    count = 0
    for line in lines:
        work = _WORKS.get(str(line.get("kind")))
        try:
            with session.begin_nested():
                done = work is not None and work(session, line, now)  # others are marks of backups
                session.flush()
        except (LookupError, TypeError, ValueError, ArithmeticError, SQLAlchemyError) as error:
            _log.warning("a line of what was taken back cannot be read: %s", error)
            continue
        count += done
    return count


def _device(session: Session, line: Mapping[str, Any], _now: int) -> bool:
    device = _find_device(session, line["uuid"])
    if device is None:
        return False
    if int(line["family_since"]) > device.family_since:
        device.name = ""
    for name in DEVICE_COLUMNS:
        setattr(device, name, line[name])
    device.last_report_ms = max(device.last_report_ms, device.family_since)
    known = select(Account.id).where(Account.uuid.in_([str(each) for each in line["barred"]]))
    device.barred = list(session.scalars(known))
    return True


def _unbound(session: Session, line: Mapping[str, Any], _now: int) -> bool:
    device = _find_device(session, line["device"])
    binding = None if device is None else session.get(Binding, device.id)
    account = _account_id(session, line["account"])
    if binding is None or binding.account_id != account:
        return False
    session.delete(binding)
    return True


def _account(session: Session, line: Mapping[str, Any], _now: int) -> bool:
    account = session.scalar(select(Account).where(Account.uuid == line["uuid"]))
    if account is None:
        return False
    for name in ACCOUNT_COLUMNS:
        setattr(account, name, line[name])
    return True


def _app(session: Session, line: Mapping[str, Any], _now: int) -> bool:
    app = session.scalar(select(App).where(App.apikey == line["apikey"]))
    if app is None:
        return False
    for name in APP_COLUMNS:
        setattr(app, name, line[name])
    return True


def _app_product(session: Session, line: Mapping[str, Any], _now: int) -> bool:
    bound = session.scalar(
        select(AppProduct)
        .join(App, App.id == AppProduct.app_id)
        .join(Product, Product.id == AppProduct.product_id)
        .where(App.apikey == line["apikey"], Product.name == line["product"])
    )
    if bound is None:
        return False
    session.delete(bound)
    return True


def _tokens(session: Session, line: Mapping[str, Any], now: int) -> bool:
    these = AccessToken.digest.in_([str(each) for each in line["digests"]])
    known = session.scalars(select(AccessToken.digest).where(these)).all()
    if line["expired"]:
        session.execute(update(AccessToken).where(these).values(expire_time=now))
    else:
        session.execute(delete(AccessToken).where(these))
    return bool(known)


def _strategy(session: Session, line: Mapping[str, Any], _now: int) -> bool:
    strategy = session.get(Strategy, int(line["id"]))
    if strategy is None or strategy.create_time != line["create_time"]:
        return False
    strategy.status = WITHDRAWN
    return True


def _erasure(session: Session, line: Mapping[str, Any], now: int) -> bool:
    device = _find_device(session, line["device"])
    if device is None or session.get(Erasure, line["receipt"]) is not None:
        return False
    named = {(int(utterance), int(start)) for utterance, start in line["entries"]}
    of_device = session.scalars(select(VoiceEntry).where(VoiceEntry.device_id == device.id))
    entries = [each for each in of_device if (each.utterance, each.start) in named]
    order = Erasure(
        receipt=str(line["receipt"]), device_id=device.id, kind=str(line["what"]),
        account_id=_account_id(session, line["account"]), until=int(line["until"]),
        entries=[entry.id for entry in entries], utterances=int(line["utterances"]),
        row_count=0, order_time=int(line["order_time"]),
    )  # fmt: skip
    session.add(order)
    session.flush()
    family.take_up(session, order, entries, now)
    return True


_WORKS: Mapping[str, Callable[[Session, Mapping[str, Any], int], bool]] = {
    "device": _device,
    "unbound": _unbound,
    "account": _account,
    "app": _app,
    "app_product": _app_product,
    "tokens": _tokens,
    "strategy": _strategy,
    "erasure": _erasure,
}


def _find_device(session: Session, uuid: object) -> Device | None:
    return session.scalar(select(Device).where(Device.uuid == str(uuid)))


def _account_id(session: Session, uuid: object) -> int | None:
    return session.scalar(select(Account.id).where(Account.uuid == str(uuid)))
