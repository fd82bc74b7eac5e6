"""Rollouts: a strategy's phases, its state, and what became of its devices."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from staging.commands.common import Commands, Result, command, group, row_id, store
from staging.errors import StagingError
from staging.rollouts.settings import FIELDS, parse_duration
from staging.store import rollout_acts, rollout_view, rollouts
from staging.store.rollout_acts import Change, Done
from staging.times import iso, now_ms
from wire.errors import FieldError

# The options of `rollout phases`, by the settings that they give.
OPTIONS: Mapping[str, str] = {
    "soak": "--soak", "sample": "--sample", "success": "--success", "link": "--link", "hours": "--crash-free-hours",
    "sound": "--sound", "open": "--at-once", "perMinute": "--per-minute", "failing": "--failing", "chance": "--chance",
    "error": "--error",
}  # fmt: skip


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the group ``rollout``."""
    rollout = group(commands, "rollout", common, "bring a version to devices a part at a time")
    for name, run, text in (
        ("show", _show, "show a strategy's phases, its state and what became of its devices"),
        ("start", _start, "let a strategy take effect, in its first phase"),
        ("pause", _pause, "offer and order nothing more; what devices have taken goes on"),
        ("resume", _resume, "go on after a pause, or after the cloud has halted it"),
        ("retry", _retry, "give each device that failed one more order, once"),
        ("open", _open, "open the next phase now, whatever it waits for"),
    ):
        command(rollout, name, common, run, text).add_argument("id", type=row_id, metavar="ID")
    withdraw = command(rollout, "withdraw", common, _withdraw, "end a strategy")
    withdraw.add_argument("id", type=row_id, metavar="ID")
    busy = withdraw.add_mutually_exclusive_group()
    busy.add_argument(
        "--finish", action="store_true", help="let devices that are busy with it finish"
    )
    busy.add_argument(
        "--cancel", action="store_true", help="cancel it on devices that are busy with it"
    )
    _add_phases(rollout, common)


def _add_phases(
    rollout: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    phases = command(rollout, "phases", common, _phases, "show or set a strategy's phases")
    phases.add_argument("id", type=row_id, metavar="ID")
    phases.add_argument(
        "--phase",
        dest="phases",
        action="append",
        metavar="PHASE",
        help="10%%, batch:NAME or tag:NAME; as often as needed, in their order",
    )
    for name, option in OPTIONS.items():
        field = FIELDS[name]
        phases.add_argument(
            option,
            dest=f"set_{name}",
            metavar="TIME" if name == "soak" else "N",
            help=f"{field.meaning} (default: {field.default:g})".replace("%", "%%"),
        )


def _show(options: argparse.Namespace) -> Result:
    with store(options) as database:
        found = database.call(rollout_view.view, options.id, now_ms())
    return Result(found, _lines(found))


def _start(options: argparse.Namespace) -> Result:
    return _change(options, lambda session, number: rollout_acts.start(session, number, now_ms()))


def _pause(options: argparse.Namespace) -> Result:
    return _change(options, rollout_acts.pause)


def _resume(options: argparse.Namespace) -> Result:
    return _change(options, lambda session, number: rollout_acts.resume(session, number, now_ms()))


def _retry(options: argparse.Namespace) -> Result:
    return _change(options, lambda session, number: rollout_acts.retry(session, number, now_ms()))


def _open(options: argparse.Namespace) -> Result:
    return _change(
        options, lambda session, number: rollout_acts.open_next(session, number, now_ms())
    )


def _withdraw(options: argparse.Namespace) -> Result:
    def work(session: Session, number: int) -> Done:
        busy = rollout_acts.running(session, rollouts.strategy_of(session, number).id)
        if busy and not (options.finish or options.cancel):
            raise StagingError(
                f"strategy {number}: {busy} devices are busy with it; say what becomes of them: "
                "--finish or --cancel"
            )
        return rollout_acts.withdraw(session, number, now_ms(), recall=options.cancel)

    return _change(options, work)


def _change(options: argparse.Namespace, change: Change) -> Result:
    with store(options) as database:
        done = database.call(change, options.id)
    value = {
        "strategyId": options.id,
        "status": done.state.value,
        "open": done.phase,
        "running": done.running,
        "dropped": done.dropped,
        "retried": done.retried,
    }
    told = [f"{options.id} {done.state.value}"]
    told += [f"phases open: {done.phase}"] if done.phase else []
    told += [f"devices busy with it: {done.running}"] if done.running else []
    told += [f"orders cancelled that no device had taken: {done.dropped}"] if done.dropped else []
    told += [f"devices that get one more order: {done.retried}"] if done.retried else []
    return Result(value, told)


def _phases(options: argparse.Namespace) -> Result:
    given: dict[str, object] = {
        name: _number(name, text)
        for name in OPTIONS
        if (text := getattr(options, f"set_{name}")) is not None
    }
    if options.phases is None and not given:
        options.only_shown = True
    with store(options) as database:
        if options.phases is not None or given:
            database.call(rollouts.set_plan, options.id, options.phases, given)
        found = database.call(rollout_view.view, options.id, now_ms())
    value = {name: found[name] for name in ("strategyId", "status", "phases", "open", "settings")}
    return Result(value, [*_phase_lines(found), *_setting_lines(found)])


def _number(name: str, text: str) -> float:
    """Return the value of an option; raises FieldError that names it."""
    if name == "soak":
        return parse_duration(text, OPTIONS[name])
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        raise FieldError(OPTIONS[name], text, "a number") from None
    return FIELDS[name].check(OPTIONS[name], int(value) if value.is_integer() else value)


def _lines(found: Mapping[str, Any]) -> list[str]:
    return [
        f"{found['strategyId']} {found['status']} {found['type']} to={found['version']} product={found['product']}",
        *_phase_lines(found),
        *_halt_lines(found),
        *(_wait_line(wait) for wait in found["waits"]),
        _table_line("version", dict.fromkeys(_COLUMNS, "")),
        *(_table_line(row["version"] or "unknown", row) for row in found["versions"]),
        _table_line("all", found["total"]),
        *_failing_lines(found),
    ]


def _phase_lines(found: Mapping[str, Any]) -> list[str]:
    if not found["phases"]:
        return ["phases: none, for all of its devices at once"]
    shown = (f"{each['phase']}{' (open)' if each['open'] else ''}" for each in found["phases"])
    return [f"phases: {', '.join(shown)}"]


def _setting_lines(found: Mapping[str, Any]) -> list[str]:
    if not found["phases"]:
        return []
    values = found["settings"]
    return [f"{OPTIONS[name]} {values[name]:g}: {FIELDS[name].meaning}" for name in OPTIONS]


def _halt_lines(found: Mapping[str, Any]) -> list[str]:
    reason = found["reason"]
    if not reason:
        return []
    good = reason["well"] + reason["recovered"]
    why = "its updates fail" if reason["why"] == "failing" else "too few updates succeed"
    told = f"{good} updated, {reason['bad']} failed for good, {reason['suspect']} failed once"
    what = "`rollout resume` goes on, `rollout withdraw` ends it"
    return [f"halted {iso(reason['time'])}: {why}: {told}; {what}"]


def _wait_line(wait: Mapping[str, Any]) -> str:
    return f"the next phase waits for {wait['want']}: {wait['got']:g}, wanted {wait['wanted']:g}"


_COLUMNS = ("covered", "waiting", "running", "success", "failed", "refused", "cancelled")


def _table_line(name: str, row: Mapping[str, Any]) -> str:
    cells = (str(row[column]) or column for column in _COLUMNS)
    return f"{name:<12}" + "".join(f"{cell:>11}" for cell in cells)


def _failing_lines(found: Mapping[str, Any]) -> list[str]:
    lines = [
        f"{each['uuid']} {each['from'] or 'unknown'} {iso(each['time'])} orders={each['orders']}: {each['failure']}"
        for each in found["failing"]
    ]
    left = found["failingTotal"] - len(lines)
    return [*lines, f"and {left} more"] if left > 0 else lines
