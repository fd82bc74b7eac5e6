"""Alarms: listed, acknowledged, their settings, and the webhooks that are told of them."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from staging.commands.audited import who_ran
from staging.commands.common import Commands, Result, command, group, row_id, store
from staging.store import alarms, webhooks
from staging.times import now_ms
from wire.errors import FieldError

LIMIT = 500


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the group ``alarm``."""
    alarm = group(commands, "alarm", common, "what is wrong with devices and versions")
    listing = command(alarm, "list", common, _list, "list the open alarms")
    listing.add_argument("--all", action="store_true", help="also those that have ended")
    command(alarm, "ack", common, _ack, "note that an alarm was seen").add_argument(
        "number", type=row_id, metavar="ID"
    )
    setting = command(alarm, "settings", common, _settings, "show or change when alarms begin")
    setting.add_argument("--set", action="append", default=[], metavar="NAME=NUMBER")
    hook = group(alarm, "webhook", common, "who is told of alarms by HTTPS")
    command(hook, "add", common, _add, "tell an address; prints its secret once").add_argument(
        "url"
    )
    command(hook, "list", common, _hooks, "list the addresses and what came of the last message")
    for name, run, text in (
        ("remove", _remove, "tell an address no more"),
        ("test", _test, "have the server send a test message"),
        ("on", _on, "tell an address again"),
        ("off", _off, "tell an address nothing; what waits for it is given up"),
    ):
        command(hook, name, common, run, text).add_argument("number", type=row_id, metavar="ID")


def _list(options: argparse.Namespace) -> Result:
    with store(options) as database:
        found = database.call(alarms.listing, ended=options.all, limit=LIMIT)
        counted = database.call(alarms.counts)
    rows = [alarms.to_json(alarm) for alarm in found]
    value = {"alarms": rows, "open": sum(counted.values())}
    return Result(value, [_line(row) for row in rows] or ["no alarms"])


def _line(row: dict[str, Any]) -> str:
    detail = " ".join(f"{name}={text}" for name, text in row["detail"].items())
    ended = f" ended={row['ended']}" if row["ended"] else ""
    return f"{row['id']} {row['state']} {row['kind']} {row['subject']} opened={row['opened']}{ended} {detail}".rstrip()


def _ack(options: argparse.Namespace) -> Result:
    with store(options) as database:
        who = who_ran(options)
        alarm = database.call(alarms.acknowledge, options.number, who, now_ms())
    row = alarms.to_json(alarm)
    return Result(row, [_line(row)])


def _settings(options: argparse.Namespace) -> Result:
    wanted = [_setting(text) for text in options.set]
    options.only_shown = not wanted
    options.told = " ".join(options.set)
    with store(options) as database:
        for name, value in wanted:
            database.call(alarms.set_setting, name, value)
        found = asdict(database.call(alarms.settings))
    return Result(found, [f"{name}={value}" for name, value in found.items()])


def _setting(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    if not (number.isascii() and number.isdigit() and len(number) <= 9):
        raise FieldError(name or "set", number, "NAME=NUMBER, a whole number")
    return name, int(number)


def _add(options: argparse.Namespace) -> Result:
    with store(options) as database:
        made = database.call(webhooks.add, options.url, now_ms())
    value = {"id": made.id, "url": made.url, "secret": made.secret}
    return Result(value, [f"{name} {text}" for name, text in value.items()])


def _hooks(options: argparse.Namespace) -> Result:
    with store(options) as database:
        found = database.call(webhooks.listing)
    rows = [webhooks.to_json(each) for each in found]
    lines = [
        f"{r['id']} {r['url']} {'on' if r['on'] else 'off'} last={r['lastState'] or '-'} tries={r['lastTries']} waiting={r['waiting']} {r['lastProblem']}".rstrip()
        for r in rows
    ]
    return Result({"webhooks": rows}, lines or ["no webhooks"])


def _remove(options: argparse.Namespace) -> Result:
    with store(options) as database:
        gone = database.call(webhooks.remove, options.number)
    return Result({"id": options.number, "url": gone.url}, [f"removed {options.number} {gone.url}"])


def _test(options: argparse.Namespace) -> Result:
    with store(options) as database:
        made = database.call(webhooks.test, options.number, now_ms())
    told = f"message {made.id} waits for the server to send it; see: story-cloud alarm webhook list"
    return Result({"message": made.id}, [told])


def _on(options: argparse.Namespace) -> Result:
    return _switch(options, on=True)


def _off(options: argparse.Namespace) -> Result:
    return _switch(options, on=False)


def _switch(options: argparse.Namespace, *, on: bool) -> Result:
    with store(options) as database:
        hook = database.call(webhooks.switch, options.number, on=on)
    return Result(
        {"id": hook.id, "url": hook.url, "on": on},
        [f"{'on' if on else 'off'} {hook.id} {hook.url}"],
    )
