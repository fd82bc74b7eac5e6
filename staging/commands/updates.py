"""Commands about updates in progress."""

from __future__ import annotations

import argparse
import os
from typing import Any

from sqlalchemy.orm import Session

from staging.commands.asking import ask
from staging.commands.audited import system_user
from staging.commands.common import Commands, Result, command, data_of, group, store
from staging.errors import NoServerError
from staging.store import order_rules, ota
from staging.store.models import OtaTask
from staging.store.order_rules import ACTIVE
from staging.times import now_ms


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the group ``update``."""
    update = group(commands, "update", common, "what becomes of ordered updates")
    cancel = command(update, "cancel", common, _cancel, "take back the order a device is busy with")
    cancel.add_argument("uuid", metavar="UUID")


def _cancel(options: argparse.Namespace) -> Result:
    try:
        wanted = {"uuid": options.uuid, "user": system_user(os.environ)}
        value = ask(data_of(options).root, "cancel", wanted)
        options.server_did = True
    except NoServerError:  # then no device is connected either
        with store(options) as database:
            task = database.call(_end, options.uuid)
        value = ota.summary(task, options.uuid.lower())
    return Result(value, [_line(value)])


def _end(session: Session, uuid: str) -> OtaTask:
    task = ota.under_way(session, uuid)
    reason = order_rules.ends_by_cancel(None, answered=False)
    return ota.cancel(session, task.id, reason, now_ms())


def _line(value: dict[str, Any]) -> str:
    text = f"task {value['taskId']} {value['status']}"
    if value["status"] in ACTIVE:
        return f"{text}: the device gives it up and will report so"
    return f"{text}: {value['failure']}" if value["failure"] else text
