"""``advise``: does a machine do what the document asks? Its reports, compared and verified."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from base.files import PEM_LIMIT, read_given
from staging.commands import exits
from staging.commands.common import (
    Commands,
    Result,
    add_address_options,
    command,
    data_of,
    endpoints_of,
    port,
    read_secret,
    store,
)
from staging.commands.common import language as language_of
from staging.errors import StagingError
from wire.errors import WireError
from wire.ota import InstallerKind, version_key

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from staging.advise.releases import Package
    from staging.advise.runner import Progress
    from staging.advise.visit import Wish

T = TypeVar("T")
LIST, COMPARE, VERIFY = "list", "compare", "verify"
# Of a package, which is kept in memory: the largest image that a machine of ours takes.
PACKAGE_MAX = 512 * 2**20
# Seconds of a sentence.
SENTENCE_SECONDS = 5.0
SPEAK = {
    "zh": ("按一下说话键", "请说一句五秒长的话", "好了"),
    "en": ("press its talk button in", "now speak for five seconds", "enough"),
}
_UUID = re.compile(r"[0-9a-fA-F]{14}")
_MARKS = {"pass": "ok  ", "warn": "WARN", "fail": "FAIL", "not applicable": "n/a "}


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add ``advise``."""
    advise = command(
        commands, "advise", common, _advise,
        "check a machine against the document (docs/advisor.md); advise list, advise compare A B, advise verify REPORT",
    )  # fmt: skip
    advise.add_argument(
        "uuid", metavar="UUID", help=f"the device, or {LIST}, {COMPARE} or {VERIFY}"
    )
    advise.add_argument(
        "files", metavar="REPORT", nargs="*", type=Path, help="for compare and verify"
    )
    advise.add_argument(
        "--suite", default="quick", metavar="NAME", help="quick, full, or one of `advise list`"
    )
    advise.add_argument(
        "--seed", type=_seed, metavar="N", help="the same seed repeats the same cases"
    )
    advise.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help="where the report goes (default: in the data folder)",
    )
    advise.add_argument(
        "--port", type=port, default=0, metavar="N",
        help="listen there for the device, which a profile leads here; without it the running cloud leads it",
    )  # fmt: skip
    advise.add_argument(
        "--listen", default="127.0.0.1", metavar="ADDR", help="where that port listens"
    )
    advise.add_argument(
        "--link", choices=("coap", "mqtt"), default="coap", help="what the device speaks there"
    )
    advise.add_argument(
        "--profile", type=Path, metavar="FILE", help="write a profile that leads the device there"
    )
    advise.add_argument(
        "--hand", default="", metavar="PROGRAM", help="what acts at the machine (docs/advisor.md)"
    )
    advise.add_argument(
        "--speak",
        action="store_true",
        help="ask for somebody to speak to the device, on the terminal",
    )
    advise.add_argument(
        "--root", type=Path, metavar="FILE", help="write the TUF root of the bench's own releases, for the device",
    )  # fmt: skip
    advise.add_argument(
        "--web-port", type=port, default=0, metavar="N", help="where updates are fetched (default: any port)"
    )  # fmt: skip
    advise.add_argument(
        "--package", type=Path, metavar="FILE", help="a package that the device may install"
    )
    advise.add_argument("--package-version", default="", metavar="V", help="the package's version")
    advise.add_argument(
        "--installer", choices=[str(kind) for kind in InstallerKind], default=str(InstallerKind.SLOTS),
        help="what installs it on the device",
    )  # fmt: skip
    advise.add_argument(
        "--helper", default="", metavar="IP:PORT", help="story-agent advise-helper beside the machine (default: the one of `fault helper`)"
    )  # fmt: skip
    advise.add_argument(
        "--token-file", type=Path, metavar="FILE", help="the helper's token, - for standard input"
    )
    advise.add_argument(
        "--authority", type=Path, metavar="FILE", help="verify: another cloud's ca.crt"
    )
    advise.add_argument("--progress", action="store_true", help=argparse.SUPPRESS)
    add_address_options(advise)


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a number of at most ten digits")
    return int(text)


def _advise(options: argparse.Namespace) -> Result:
    reads = {LIST: _list, COMPARE: _compare, VERIFY: _verify}
    if options.uuid in reads:
        options.only_shown = True
        return reads[options.uuid](options)
    if not _UUID.fullmatch(options.uuid):
        expected = f"14 hexadecimal digits, or {LIST}, {COMPARE} or {VERIFY}"
        raise StagingError(f"UUID: got {options.uuid!r}, expected {expected}")
    if options.files:
        raise StagingError(f"{options.files[0]}: reports are for {COMPARE} and {VERIFY}")
    return _run(options)


def language() -> str:
    """Return in which language a person reads: zh or en."""
    return language_of(os.environ)


def _list(_options: argparse.Namespace) -> Result:
    from staging.advise import catalogue

    chosen = language()
    quick = {check.id for check in catalogue.select(catalogue.QUICK)}
    checks = [
        {
            "id": check.id, "suite": check.suite, "quick": check.id in quick,
            "title": getattr(check.title, chosen), "asks": check.asks,
        }
        for check in catalogue.CHECKS
    ]  # fmt: skip
    lines = [
        f"{'quick' if each['quick'] else 'full ':5}  {each['id']:28} {each['title']}"
        for each in checks
    ]
    names = [catalogue.QUICK, catalogue.FULL, *catalogue.SUITES]
    return Result({"suites": names, "checks": checks}, [f"suites: {', '.join(names)}", *lines])


def _two(options: argparse.Namespace, count: int) -> list[dict[str, Any]]:
    """Return the reports that a command names."""
    from staging.advise import report

    if len(options.files) != count:
        raise StagingError(
            f"advise {options.uuid}: got {len(options.files)} reports, expected {count}"
        )
    return [
        report.read(read_given(path, report.SIZE_LIMIT), str(path))
        for path in map(_file, options.files)
    ]


def _file(path: Path) -> Path:
    """Return the report's file, also where its folder is named."""
    return path / "report.json" if path.is_dir() else path


def _compare(options: argparse.Namespace) -> Result:
    from staging.advise.compare import compare

    before, after = _two(options, 2)
    changes = compare(before, after)
    value = {
        "before": before["device"], "after": after["device"],
        "changes": [
            {"id": each.id, "kind": each.kind, "before": each.before, "after": each.after} for each in changes
        ],
    }  # fmt: skip
    lines = [
        f"{each.kind:6} {each.id}: {each.before or '-'} → {each.after or '-'}" for each in changes
    ]
    broke = any(each.kind == "broke" for each in changes)
    return Result(
        value, lines or ["no check has another verdict"], exits.FAILED if broke else exits.DONE
    )


def _verify(options: argparse.Namespace) -> Result:
    from staging.advise.sign import verify
    from staging.identity import ca

    path = options.authority or ca.locate(data_of(options).ca).ca
    (report,) = _two(options, 1)
    who = verify(report, read_given(path, PEM_LIMIT))
    device = report["device"]
    return Result(
        {"signedBy": who, "device": device, "counts": report["counts"]},
        [f"signed by {who}: device {device['uuid']}, firmware {device['firmware'] or '?'}"],
    )


async def _ended_by_sigterm(work: Coroutine[Any, Any, T]) -> T:
    """Let SIGTERM cancel ``work``, as Ctrl-C does: the device is given back before the process ends."""
    import asyncio
    import signal

    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _run(options: argparse.Namespace) -> Result:
    import asyncio

    if options.progress:
        options.server_did = True  # the console that began it has logged it
    from staging.advise import catalogue
    from staging.advise.report import worst
    from staging.advise.visit import visit
    from staging.store import devices
    from staging.store.products import FIRST_VERSION

    catalogue.select(options.suite)
    with store(options) as database:
        device = database.call(devices.get, options.uuid)
        view = database.call(devices.view, options.uuid)
    endpoints = endpoints_of(options)
    wish = _wish(options)
    if view is not None:
        told = "" if view.os_version == FIRST_VERSION else view.os_version
        wish = replace(wish, firmware=told, product=view.product)
    tell = _tell_program if options.progress else _tell_person
    report, folder = asyncio.run(
        _ended_by_sigterm(visit(data_of(options), device, endpoints, wish, tell))
    )
    counts = report["counts"]
    told = ", ".join(f"{count} {grade}" for grade, count in counts.items())
    chosen = language()
    lines = [
        f"{_MARKS[check['verdict']]} {check['id']}: {check['seen'][chosen]}"
        for check in report["checks"]
        if check["verdict"] in {"warn", "fail"}
    ]
    value = {
        "report": str(folder),
        "counts": counts,
        "seed": report["seed"],
        "seconds": report["seconds"],
    }
    failed = str(worst(report)) == "fail"
    return Result(
        value, [*lines, f"{told}; {report['seconds']} s, seed {report['seed']}", f"report: {folder}"],
        exits.FAILED if failed else exits.DONE,
    )  # fmt: skip


def _wish(options: argparse.Namespace) -> Wish:
    from staging.advise.visit import Wish, any_seed

    if options.link == "mqtt" and not options.port:
        raise StagingError(
            "--link mqtt: expected --port too: a device behind a broker is led by a profile"
        )
    if options.profile is not None and not options.port:
        raise StagingError("--profile: expected --port too, to which the profile leads the device")
    return Wish(
        suite=options.suite,
        seed=any_seed() if options.seed is None else options.seed,
        folder=options.report,
        port=options.port,
        address=options.listen,
        link=options.link,
        profile=options.profile,
        hand=options.hand,
        root=options.root,
        web_port=options.web_port,
        package=_package(options),
        installer=options.installer,
        helper=options.helper,
        helper_token=_helper_token(options),
        ask_to_speak=ask_to_speak if options.speak else None,
        language=language(),
    )


def _helper_token(options: argparse.Namespace) -> str:
    """Return the token of the helper that is given; raises StagingError."""
    if bool(options.helper) != (options.token_file is not None):
        raise StagingError("--helper: expected --token-file too, and the other way round")
    return read_secret("--token-file", options.token_file) if options.helper else ""


def _package(options: argparse.Namespace) -> Package | None:
    """Return the tester's package; raises StagingError."""
    from staging.advise.releases import Package

    if (options.package is None) != (not options.package_version):
        raise StagingError("--package: expected --package-version too, and the other way round")
    if options.package is None:
        return None
    try:
        version_key(options.package_version, "--package-version")
        return Package(options.package_version, read_given(options.package, PACKAGE_MAX))
    except WireError as error:
        raise StagingError(str(error)) from error
    except OSError as error:
        raise StagingError(f"--package {options.package}: {error.strerror}") from error


async def ask_to_speak() -> None:
    """Count down on the terminal, and give the tester the time for a sentence."""
    import asyncio

    from staging.advise.bench import COUNT_DOWN

    ready, now, done = SPEAK[language()]
    print(ready, end=" ", file=sys.stderr, flush=True)
    for left in range(COUNT_DOWN, 0, -1):
        print(left, end=" ", file=sys.stderr, flush=True)
        await asyncio.sleep(1)
    print(now, end=" ", file=sys.stderr, flush=True)
    await asyncio.sleep(SENTENCE_SECONDS)
    print(done, file=sys.stderr, flush=True)


def _tell_person(progress: Progress) -> None:
    """Name each case as it begins, and then what was found wrong."""
    from staging.advise.progress import said

    if progress.results is None:
        place = f"[{progress.number:2}/{progress.total}]"
        print(f"{place} {getattr(said(progress.case), language())}", file=sys.stderr, flush=True)
        return
    for found in progress.results:
        grade = str(found.verdict.grade)
        if grade in {"warn", "fail"}:
            seen = getattr(found.verdict.seen, language())
            print(f"        {_MARKS[grade]} {found.check.id}: {seen}", file=sys.stderr, flush=True)


def _tell_program(progress: Progress) -> None:
    """Tell the same as a line of JSON each, to the console's desk (`staging.advise.desk`)."""
    from staging.advise.progress import line_of

    print(json.dumps(line_of(progress), ensure_ascii=False), file=sys.stderr, flush=True)
