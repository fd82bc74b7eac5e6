"""Which commands change something, and their entries in the audit log.

Every command of the program is in `CHANGES` or in `READS`; `tests/staging/commands/test_audited.py` says which is
not. The entry names the user of the system who ran the command, and behind sudo who ran that.
"""

from __future__ import annotations

import argparse
import os
import pwd
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from staging.commands.common import Result, store
from staging.errors import NotFoundError, StagingError
from staging.times import now_ms

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

UUID, ACCOUNT, TARGET = "device", "account", "target"

CHANGES: Mapping[str, Mapping[str, str]] = {
    "device add": {},
    "device profile": {UUID: "uuid"},
    "device token renew": {UUID: "uuid"},
    "device tag": {UUID: "uuids"},
    "device bulk bind": {},
    "device bulk tag": {},
    "device bulk verify": {},
    "device bulk order": {},
    "device bulk cancel": {},
    "bind-token renew": {UUID: "uuid"},
    "app add": {TARGET: "name"},
    "app origins": {TARGET: "app"},
    "app bind": {TARGET: "app"},
    "app unbind": {TARGET: "app"},
    "app secret renew": {TARGET: "app"},
    "account add": {ACCOUNT: "name"},
    "account password": {ACCOUNT: "name"},
    "account role": {ACCOUNT: "name"},
    "account disable": {ACCOUNT: "name"},
    "account enable": {ACCOUNT: "name"},
    "token": {ACCOUNT: "user"},
    "token revoke": {ACCOUNT: "user", TARGET: "app"},
    "token expire": {ACCOUNT: "user", TARGET: "app"},
    "session revoke": {ACCOUNT: "name"},
    "product add": {TARGET: "name"},
    "batch add": {TARGET: "name"},
    "batch export": {TARGET: "name"},
    "datapoint add": {TARGET: "name"},
    "datapoint template": {TARGET: "template"},
    "datapoint remove": {TARGET: "name"},
    "release add": {TARGET: "version"},
    "release verify": {UUID: "uuid", TARGET: "version"},
    "release pass": {TARGET: "version"},
    "sbom add": {},
    "strategy add": {TARGET: "version"},
    "strategy publish": {TARGET: "id"},
    "strategy withdraw": {TARGET: "id"},
    "rollout start": {TARGET: "id"},
    "rollout pause": {TARGET: "id"},
    "rollout resume": {TARGET: "id"},
    "rollout withdraw": {TARGET: "id"},
    "rollout retry": {TARGET: "id"},
    "rollout open": {TARGET: "id"},
    "rollout phases": {TARGET: "id"},
    "alarm ack": {TARGET: "number"},
    "alarm settings": {},
    "alarm webhook add": {},
    "alarm webhook remove": {TARGET: "number"},
    "alarm webhook test": {TARGET: "number"},
    "alarm webhook on": {TARGET: "number"},
    "alarm webhook off": {TARGET: "number"},
    "update cancel": {UUID: "uuid"},
    "advise": {UUID: "uuid"},
    "say": {UUID: "uuid"},
    "backup": {TARGET: "file"},
    "restore": {TARGET: "file"},
    "catalogue set": {UUID: "uuid"},
    "catalogue remove": {UUID: "uuid"},
    "diag": {UUID: "uuid"},
    "fault set": {UUID: "uuid", TARGET: "name"},
    "fault clear": {UUID: "uuid", TARGET: "name"},
    "fault helper": {UUID: "uuid", TARGET: "address"},
}
"""The commands that change something, and which of their words are a device, an account or a target."""

READS = frozenset(
    {
        "check", "sizes", "device list", "alarm list", "alarm webhook list", "health", "bind-token list", "app list", "account list", "token list", "audit list", "audit export",
        "product list", "batch list", "datapoint list", "release list", "release root", "sbom list",
        "sbom show", "sbom devices", "strategy list", "rollout show", "heard", "catalogue show", "apt-repo", "fault list", "wire",
    }
)  # fmt: skip
"""The commands that change nothing in the store."""


def note(options: argparse.Namespace, result: Result | None) -> str:
    """Log a command that was done; return what whoever typed it must be told of that, mostly nothing.

    What cannot be logged is done all the same. ``result`` has the uuid of a device that the command has made.
    """
    words = getattr(options, "words", "")
    if words not in CHANGES or getattr(options, "server_did", False):
        return ""  # the server logs what it did for a command itself
    if getattr(options, "only_shown", False):
        return ""
    from sqlalchemy.exc import SQLAlchemyError  # what only reads need not import it

    made = "" if result is None else str(result.value.get("uuid", ""))
    try:
        with store(options) as database:
            database.call(_add, words, options, made)
    except (StagingError, SQLAlchemyError) as error:
        return f"it is done, and not in the audit log: {error}"
    return ""


def _add(session: Session, words: str, options: argparse.Namespace, made: str) -> None:
    from staging.store import audit  # see above
    from staging.store.audit import Entry, Source

    of = CHANGES[words]

    def word(kind: str) -> str:
        value = getattr(options, of[kind], None) if kind in of else None
        return "" if value is None else str(value)

    several = getattr(options, of.get(UUID, ""), None)
    devices = several if isinstance(several, list) else [word(UUID) or made]
    named = word(ACCOUNT)
    # What a command tells itself, where no option of its has it.
    told = str(getattr(options, "told", ""))
    target = " ".join(part for part in (named, word(TARGET), told) if part)
    subject = _account_id(session, named) if named else None
    entry = Entry(
        now_ms(), Source.COMMAND, who_ran(options), _action(words),
        subject_id=subject, target=target,
    )  # fmt: skip
    audit.add(session, [replace(entry, device=device.lower()) for device in dict.fromkeys(devices)])


def _action(words: str) -> str:
    """Return what the audit log calls a command, by the same names as on the console."""
    same = words.replace("release ", "version ").replace("rollout start", "strategy publish")
    return same.replace("rollout ", "strategy ").replace(" ", ".")


def _account_id(session: Session, name: str) -> int | None:
    from staging.store import accounts  # see above

    try:
        return accounts.one(session, name).id
    except NotFoundError:
        return None


def who_ran(options: argparse.Namespace) -> str:
    """Return who typed the command, also where the running server carries it out."""
    return str(getattr(options, "ran_by", "")) or system_user(os.environ)


def system_user(environment: Mapping[str, str]) -> str:
    """Return who runs this process: the system's user, and behind sudo who became it."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    before = environment.get("SUDO_USER", "")
    return f"{name} ({before})" if before and before != name else name
