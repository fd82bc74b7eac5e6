"""Commands about releases and the strategies that offer them."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.orm import Session

from staging.commands.common import (
    Commands,
    Result,
    add_product_option,
    command,
    data_of,
    group,
    product_of,
    store,
)
from staging.releases import tool, uploads
from staging.releases.uploads import NewRelease
from staging.store import ota, releases
from staging.store.models import RELEASED, UNVERIFIED, Package, Strategy
from staging.store.releases import StrategyType
from staging.times import iso, now_ms
from wire.ota import InstallerKind


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the groups ``release`` and ``strategy``."""
    release = group(commands, "release", common, "add and list packages")
    add = command(release, "add", common, _release_add, "sign and serve a package")
    add.add_argument("file", type=Path, metavar="FILE")
    add.add_argument("--version", required=True, metavar="V", help="such as 1.2.0")
    add.add_argument("--description", default="", metavar="T")
    add.add_argument(
        "--installer",
        choices=[kind.value for kind in InstallerKind],
        default=InstallerKind.SLOTS.value,
        help="what it is for: a release of the agent, or an image of the system (default: slots)",
    )
    add_product_option(add)
    add.add_argument(
        "--unverified",
        action="store_true",
        help="not to be offered before a device has verified it",
    )
    verify = command(release, "verify", common, _release_verify, "order it for one device now")
    _add_release_option(verify)
    verify.add_argument("uuid", metavar="UUID")
    passed = command(release, "pass", common, _release_pass, "release what a device verified")
    _add_release_option(passed)
    command(release, "list", common, _release_list, "list the packages")
    command(release, "root", common, _release_root, "show the TUF root to ship with the agent")

    strategy = group(commands, "strategy", common, "plan and publish who is offered a package")
    _add_strategy_command(strategy, common)
    publish = command(strategy, "publish", common, _strategy_publish, "let a strategy take effect")
    publish.add_argument("id", type=int, metavar="ID")
    withdraw = command(strategy, "withdraw", common, _strategy_withdraw, "end a strategy")
    withdraw.add_argument("id", type=int, metavar="ID")
    command(strategy, "list", common, _strategy_list, "list the strategies")


def _add_release_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--version", required=True, metavar="V", help="the version of the package")
    add_product_option(parser)


def _add_strategy_command(
    strategy: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    add = command(strategy, "add", common, _strategy_add, "plan to offer a version")
    _add_release_option(add)
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


def _release_add(options: argparse.Namespace) -> Result:
    with store(options) as database:
        new = NewRelease(
            product_of(options, database),
            options.version,
            options.description,
            UNVERIFIED if options.unverified else RELEASED,
            InstallerKind(options.installer),
        )
        adding = uploads.add(database, data_of(options), new, options.file, now_ms())
        package = asyncio.run(adding)
    value = _package_value(package, options.version)
    return Result(value, [f"{name} {text}" for name, text in value.items()])


def _release_verify(options: argparse.Namespace) -> Result:
    with store(options) as database:
        product = product_of(options, database)
        package = database.call(releases.package_of, product.id, options.version)
        task = database.call(ota.order_verification, options.uuid, package.id, now_ms())
    value = ota.summary(task, options.uuid.lower())
    return Result(value, [f"{name} {text}" for name, text in value.items() if text is not None])


def _release_pass(options: argparse.Namespace) -> Result:
    with store(options) as database:
        product = product_of(options, database)
        package = database.call(releases.package_of, product.id, options.version)
        package = database.call(releases.release, package.id, now_ms())
    return Result(_package_value(package, options.version), [f"{options.version} {package.status}"])


def _release_list(options: argparse.Namespace) -> Result:
    with store(options) as database:
        rows = [_package_value(*row) for row in database.call(releases.packages)]
    lines = [
        f"{r['packageId']} {r['version']} {r['status']} {r['size']} bytes {r['path']}" for r in rows
    ]
    return Result({"releases": rows}, lines or ["no releases"])


def _package_value(package: Package, version: str) -> dict[str, object]:
    return {
        "packageId": package.id,
        "osVersionId": package.os_version_id,
        "projectId": package.product_id,
        "version": version,
        "status": package.status,
        "path": f"/tuf/targets/{package.path}",
        "size": package.size,
        "md5": package.md5,
        "sha256": package.sha256,
        "description": package.description,
        "createTime": iso(package.create_time),
    }


def _release_root(options: argparse.Namespace) -> Result:
    data = data_of(options).create()
    tool.ensure_repository(data)
    root = json.loads(data.tuf_root.read_bytes())
    return Result({"path": str(data.tuf_root), "root": root}, [str(data.tuf_root)])


def _strategy_add(options: argparse.Namespace) -> Result:
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


def _strategy_publish(options: argparse.Namespace) -> Result:
    return _set_strategy(options, releases.publish_strategy)


def _strategy_withdraw(options: argparse.Namespace) -> Result:
    return _set_strategy(options, releases.withdraw_strategy)


def _set_strategy(
    options: argparse.Namespace, change: Callable[[Session, int], Strategy]
) -> Result:
    with store(options) as database:
        database.call(change, options.id)
        rows = database.call(releases.strategies)
    return _strategy_result(*next(row for row in rows if row[0].id == options.id))


def _strategy_list(options: argparse.Namespace) -> Result:
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
