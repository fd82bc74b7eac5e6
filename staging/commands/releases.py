"""Releases: signed, listed, verified, and the TUF root that is shipped."""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

from staging.commands.common import (
    Commands,
    Result,
    add_product_option,
    add_release_option,
    command,
    data_of,
    group,
    product_of,
    store,
)
from staging.releases import tool, uploads
from staging.releases.uploads import NewRelease
from staging.store import ota, releases
from staging.store.models import RELEASED, UNVERIFIED, Package
from staging.times import iso, now_ms
from wire.ota import InstallerKind


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the group ``release``."""
    release = group(commands, "release", common, "add and list packages")
    add = command(release, "add", common, _add, "sign and serve a package")
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
    verify = command(release, "verify", common, _verify, "order it for one device now")
    add_release_option(verify)
    verify.add_argument("uuid", metavar="UUID")
    passed = command(release, "pass", common, _pass_verified, "release what a device verified")
    add_release_option(passed)
    command(release, "list", common, _list, "list the packages")
    command(release, "root", common, _root, "show the TUF root to ship with the agent")


def _add(options: argparse.Namespace) -> Result:
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


def _verify(options: argparse.Namespace) -> Result:
    with store(options) as database:
        product = product_of(options, database)
        package = database.call(releases.package_of, product.id, options.version)
        task = database.call(ota.order_verification, options.uuid, package.id, now_ms())
    value = ota.summary(task, options.uuid.lower())
    return Result(value, [f"{name} {text}" for name, text in value.items() if text is not None])


def _pass_verified(options: argparse.Namespace) -> Result:
    with store(options) as database:
        product = product_of(options, database)
        package = database.call(releases.package_of, product.id, options.version)
        package = database.call(releases.release, package.id, now_ms())
    return Result(_package_value(package, options.version), [f"{options.version} {package.status}"])


def _list(options: argparse.Namespace) -> Result:
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


def _root(options: argparse.Namespace) -> Result:
    data = data_of(options).create()
    tool.ensure_repository(data)
    root = json.loads(data.tuf_root.read_bytes())
    return Result({"path": str(data.tuf_root), "root": root}, [str(data.tuf_root)])
