"""How devices do, by version and batch."""

from __future__ import annotations

import argparse
from typing import Any

from base.arguments import whole
from staging.commands.common import Commands, Result, command, store
from staging.store import health
from staging.store.health import HOUR_MS
from staging.times import now_ms
from wire.errors import FieldError

HOURS_MAX = 960


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the command ``health``."""
    shown = command(commands, "health", common, _health, "how devices do, by version and batch")
    shown.add_argument(
        "--hours", type=whole, default=24, metavar="N", help="of the last N hours (24)"
    )


def _health(options: argparse.Namespace) -> Result:
    from staging.console.dashboard import to_json

    if not 0 < options.hours <= HOURS_MAX:
        raise FieldError("hours", options.hours, f"a number from 1 to {HOURS_MAX}")
    since = now_ms() - options.hours * HOUR_MS
    with store(options) as database:
        versions = [to_json(each) for each in database.call(health.by_version, since)]
        batches = [to_json(each) for each in database.call(health.by_batch, since)]
    value = {"hours": options.hours, "versions": versions, "batches": batches}
    lines = [_line("version", each) for each in versions] + [
        _line("batch", each) for each in batches
    ]
    return Result(value, lines or ["no devices"])


def _line(kind: str, each: dict[str, Any]) -> str:
    def told(name: str, unit: str = "") -> str:
        return "-" if each[name] is None else f"{each[name]}{unit}"

    up = "-" if each["linkUp"] is None else f"{round(100 * each['linkUp'])}%"
    text = (
        f"{kind} {each['product']} {each['name']} devices={each['devices']} connected={up} "
        f"crashes={each['crashes']} crash-free={told('crashFreeHours', 'h')} "
        f"plays={each['plays']} failed-plays={each['failedPlays']} press={told('pressSeconds', 's')} "
        f"listened={each['listened']} mic-faults={each['micFaults']} unsent={each['unsent']} "
        f"sentences={each['sentences']} not-understood={each['notUnderstood']}"
    )
    if kind == "batch":
        return text
    return f"{text} updates={each['updatesSucceeded']} failed-updates={each['updatesFailed']} bytes={each['updateBytes']}"
