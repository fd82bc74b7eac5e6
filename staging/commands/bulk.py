"""The same step for many devices, previewed first; the running server takes it, as from the console.

Without ``--yes`` nothing is done: the preview says how many devices take the step, and which are left out and why.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

from staging.commands.asking import ask
from staging.commands.audited import system_user
from staging.commands.common import Commands, Result, command, data_of, group, store
from staging.errors import StagingError
from staging.store.device_query import FILTERS, Presence, Updating

# Seconds between two looks at how far the job is.
LOOK_SECONDS = 0.3
# Devices that are named on one command line: what the command socket takes in one request.
NAMED_LIMIT = 500

STEPS = {
    "bind": "bind free devices to an operator's account; whoever has the machine in hand binds it over this",
    "tag": "put tags on, and take tags away",
    "verify": "let a version that is not released be taken",
    "order": "order the version that is offered",
    "cancel": "cancel the update",
}
WHY = {
    "done_already": "have it already",
    "gone": "there are none of that uuid, or the account does not see them",
    "bound_to_other": "bound to another account",
    "had_family": "a family has had them: only the bind token binds them",
    "other_product": "of another product",
    "not_for_verification": "neither under development nor the account's own",
    "not_newer": "the version is not newer than theirs",
    "updating": "busy with another update",
    "not_own": "not bound to the account",
    "no_offer": "nothing is offered to them",
    "no_update": "no update is under way",
    "no_room": "would have more tags than a device may",
}
"""Why devices are left out, `staging.store.bulk.Why`, in words."""


def add_commands(
    device: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the group ``device bulk``."""
    bulk = group(device, "bulk", common, "the same step for many devices, previewed first")
    for action, text in STEPS.items():
        parser = command(bulk, action, common, _run, f"{text}; without --yes a preview alone")
        parser.set_defaults(action=action)
        parser.add_argument(
            "uuids", nargs="*", metavar="UUID", help="or filters, as of device list"
        )
        parser.add_argument(
            "--account", required=True, metavar="NAME", help="as whom: an operator's or a tester's"
        )
        parser.add_argument("--yes", action="store_true", help="do it")
        parser.add_argument("--all", action="store_true", help="every device, without a filter")
        parser.add_argument("--search", dest="q", action="append", default=[], metavar="TEXT")
        _add_filters(parser)
        if action == "tag":
            parser.add_argument("--add", action="append", default=[], metavar="T")
            parser.add_argument("--remove", action="append", default=[], metavar="T")
        if action == "verify":
            parser.add_argument("--to", required=True, metavar="V", help="the version to verify")


def _add_filters(parser: argparse.ArgumentParser) -> None:
    choices = {"presence": ", ".join(Presence), "update": ", ".join(Updating)}
    for name in FILTERS:
        parser.add_argument(
            f"--{name}", action="append", default=[], metavar=name[0].upper(),
            help=choices.get(name, f"only of this {name}"),
        )  # fmt: skip


def wanted_of(options: argparse.Namespace) -> dict[str, object]:
    """Return the devices that the words name, as the server is asked; raises StagingError."""
    query = {name: list(getattr(options, name)) for name in ("q", *FILTERS)}
    query = {name: values for name, values in query.items() if values}
    for name, values in query.items():
        if not all(value.strip() for value in values):
            # A list takes an empty filter for none: a variable that a script forgot would be every device.
            option = "--search" if name == "q" else f"--{name}"
            raise StagingError(
                f'{option}: got "", expected what to look for, or --all for all devices'
            )
    uuids = list(dict.fromkeys(uuid.lower() for uuid in options.uuids))
    if sum((bool(query), bool(uuids), options.all)) != 1:
        raise StagingError("which devices: expected uuids, or filters, or --all")
    if len(uuids) > NAMED_LIMIT:
        raise StagingError(
            f"{len(uuids)} devices are named, expected at most {NAMED_LIMIT}: use a filter, such as a tag"
        )
    return {"uuids": uuids} if uuids else {"query": query}


def _run(options: argparse.Namespace) -> Result:
    wanted = wanted_of(options) | {"action": options.action}
    wanted |= {name: getattr(options, name) for name in ("add", "remove") if hasattr(options, name)}
    if options.action == "verify":
        wanted["package"] = _package(options)
    options.server_did = True
    preview = _ask(options, "preview", wanted)
    told = _preview_lines(options.action, preview)
    if not options.yes:
        return Result(
            {"preview": preview, "job": None},
            [*told, "nothing was done: the same with --yes does it"],
        )
    job = _ask(options, "begin", {"preview": preview["preview"], "user": system_user(os.environ)})
    while not job["ended"]:
        time.sleep(LOOK_SECONDS)
        job = _ask(options, "look", {"job": job["job"]})
    failed = bool(job["failures"] or job["problem"])
    return Result({"preview": preview, "job": job}, [*told, *_job_lines(job)], 1 if failed else 0)


def _ask(options: argparse.Namespace, work: str, wanted: dict[str, object]) -> dict[str, Any]:
    told = {"account": options.account} | wanted
    name = f"bulk.{work}"
    try:
        return ask(data_of(options).root, name, told)
    except StagingError as error:  # the name of the work is between the command and the server
        raise type(error)(str(error).removeprefix(f"{name}: ")) from error


def _package(options: argparse.Namespace) -> int:
    """Return the package of the version to verify, of the one product that is named, or of the one that has it."""
    from staging.commands.common import product_of
    from staging.store import product_setup, releases

    if len(options.product) > 1:
        raise StagingError("verify: a version is of one product; give --product once")
    with store(options) as database:
        if options.product:
            product = product_of(argparse.Namespace(product=options.product[0]), database)
            return database.call(releases.package_of, product.id, options.to).id
        packages = database.call(releases.packages)
        found = {each.product_id: each.id for each, version in packages if version == options.to}
        views = database.call(product_setup.products)
    if len(found) == 1:
        return next(iter(found.values()))
    names = sorted(view.product.name for view in views if view.product.id in found)
    raise StagingError(
        f"version {options.to}: "
        + (f"{', '.join(names)} have it; say --product" if names else "there is no package")
    )


def _preview_lines(action: str, preview: dict[str, Any]) -> list[str]:
    lines = [f"{action}: {preview['ready']} of {preview['total']} devices take it"]
    for out in preview["leftOut"]:
        named = ", ".join(out["uuids"])
        more = " …" if out["count"] > len(out["uuids"]) > 0 else ""
        lines.append(
            f"  left out, {WHY[out['why']]}: {out['count']}" + f" ({named}{more})" * bool(named)
        )
    return lines


def _job_lines(job: dict[str, Any]) -> list[str]:
    lines = [f"done: {job['done']} of {job['total']}"]
    lines += [f"  {WHY[each['why']]} by now: {each['count']}" for each in job["changed"]]
    if job["appeared"]:
        lines.append(f"  {job['appeared']} more match by now, and were not touched")
    if job["failures"]:
        lines.append(f"  failed: {job['failures']}")
    lines += [f"  {each['uuid']}: {each['reason']}" for each in job["failed"]]
    return [*lines, *([f"  ended early: {job['problem']}"] if job["problem"] else [])]
