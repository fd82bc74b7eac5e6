"""Strategies, which say who is offered a release: planned, published and withdrawn."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from sqlalchemy.orm import Session

from staging.commands.common import (
    Commands,
    Result,
    add_release_option,
    command,
    group,
    product_of,
    row_id,
    store,
)
from staging.store import releases, rollout_acts
from staging.store.models import Strategy
from staging.store.releases import StrategyType
from staging.store.rollout_acts import Done
from staging.times import now_ms


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the group ``strategy``."""
    strategy = group(commands, "strategy", common, "plan and publish who is offered a package")
    _add_strategy_command(strategy, common)
    publish = command(strategy, "publish", common, _publish, "let a strategy take effect")
    publish.add_argument("id", type=row_id, metavar="ID")
    withdraw = command(strategy, "withdraw", common, _withdraw, "end a strategy")
    withdraw.add_argument("id", type=row_id, metavar="ID")
    command(strategy, "list", common, _list, "list the strategies")


def _add_strategy_command(
    strategy: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    add = command(strategy, "add", common, _add, "plan to offer a version")
    add_release_option(add)
    kinds = [kind.value.lower() for kind in StrategyType]
    add.add_argument("--type", choices=kinds, default=kinds[0])
    add.add_argument(
        "--from",
        dest="from_versions",
        action="append",
        default=[],
        metavar="VERSION",
        help="a version that may be updated (default: every older one)",
    )
    add.add_argument(
        "--batch",
        dest="batches",
        action="append",
        default=[],
        metavar="NAME",
        help="a batch that may be updated (default: every one)",
    )
    add.add_argument(
        "--forced",
        action="store_true",
        help="let devices restart into it at once, also out of a story or their window",
    )


def _add(options: argparse.Namespace) -> Result:
    kind = StrategyType(options.type.upper())
    with store(options) as database:
        product = product_of(options, database)
        strategy = database.call(
            releases.add_strategy,
            options.version,
            kind,
            options.from_versions,
            options.batches,
            now_ms(),
            product_id=product.id,
            forced=options.forced,
        )
    return _strategy_result(strategy, options.version)


def _publish(options: argparse.Namespace) -> Result:
    return _change(options, rollout_acts.start)


def _withdraw(options: argparse.Namespace) -> Result:
    return _change(options, rollout_acts.withdraw)


def _change(options: argparse.Namespace, change: Callable[[Session, int, int], Done]) -> Result:
    with store(options) as database:
        database.call(change, options.id, now_ms())
        rows = database.call(releases.strategies)
    return _strategy_result(*next(row for row in rows if row[0].id == options.id))


def _list(options: argparse.Namespace) -> Result:
    with store(options) as database:
        rows = database.call(releases.strategies)
    lines = [_strategy_line(*row) for row in rows]
    value = {"strategies": [_strategy_value(*row) for row in rows]}
    return Result(value, lines or ["no strategies"])


def _strategy_result(strategy: Strategy, version: str) -> Result:
    return Result(_strategy_value(strategy, version), [_strategy_line(strategy, version)])


def _strategy_value(strategy: Strategy, version: str) -> dict[str, object]:
    return {
        "strategyId": strategy.id,
        "packageId": strategy.package_id,
        "version": version,
        "type": strategy.type,
        "status": strategy.status,
        "from": strategy.from_versions,
        "batches": strategy.batches,
        "forced": strategy.forced,
    }


def _strategy_line(strategy: Strategy, version: str) -> str:
    olds = ",".join(strategy.from_versions) or "any older"
    batches = ",".join(strategy.batches) or "any"
    forced = " forced" if strategy.forced else ""
    return (
        f"{strategy.id} {strategy.status} {strategy.type}"
        f" to={version} from={olds} batch={batches}{forced}"
    )
