"""``story-fleet``: adds devices to a running cloud's store, and runs them all in this process."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import resource
import sys
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.orm import Session

from base.printing import run_printing
from staging.client import OpenApiClient
from staging.data_dir import DataDir, read_endpoints
from staging.errors import StagingError
from staging.fleet.run import Plan, run
from staging.store import Database, apps, devices
from staging.store.apps import AppType
from staging.times import now_ms
from transport.tls_socket import limit_buffers
from wire.reports import Credentials

USER = "fleet"
# The largest number that is taken: more is a slip of the finger.
MANY = 1_000_000
# As shells have it for SIGINT.
BROKEN_OFF = 130
# Descriptors beside those of the devices.
SPARE_FILES = 200


def main(arguments: list[str] | None = None) -> int:
    """Run one fleet and return the exit code: 0 if every device was held and nothing lost."""
    return run_printing("story-fleet", lambda: _run_command(arguments))


def _run_command(arguments: list[str] | None) -> int:
    options = build_parser().parse_args(arguments)
    try:
        return _run(options)
    except BrokenPipeError:
        raise  # the reader of what is printed has gone: `run_printing`
    except (StagingError, OSError) as error:
        print(f"story-fleet: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstory-fleet: broken off", file=sys.stderr)
        return BROKEN_OFF


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(prog="story-fleet", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the running cloud's folder")
    parser.add_argument("--database", help="its database, if it is not in the folder")
    parser.add_argument("--devices", type=_count(1), default=1000, metavar="N")
    parser.add_argument("--link", choices=("coap", "mqtt"), default="coap")
    parser.add_argument(
        "--api", metavar="URL", help="the open API, if not the server's: a worker's"
    )
    parser.add_argument(
        "--rate", type=_positive, default=200.0, metavar="N", help="connections begun a second"
    )
    parser.add_argument(
        "--hold", type=_positive, default=30.0, metavar="S", help="seconds of reports"
    )
    parser.add_argument(
        "--report-every", type=_positive, default=10.0, metavar="S", help="seconds, for each device"
    )
    parser.add_argument(
        "--controls", type=_count(0), default=200, metavar="N", help="requests of an app"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _count(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= MANY):
            expected = f"a whole number from {least} to {MANY}"
            raise argparse.ArgumentTypeError(f"got {text!r}, expected {expected}")
        return int(text)

    return parse


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= MANY:  # not a number is not either
        expected = f"a number above 0, at most {MANY}"
        raise argparse.ArgumentTypeError(f"got {text!r}, expected {expected}")
    return value


def _run(options: argparse.Namespace) -> int:
    data = DataDir(options.data.absolute())
    endpoints = read_endpoints(data)
    if endpoints is None:
        raise StagingError(f"--data {data.root}: no story-cloud serve runs on it")
    if options.link == "mqtt" and not endpoints.mqtt_port:
        raise StagingError("--link mqtt: the cloud has no broker; start serve with --mqtt-port N")
    _allow_files(options.devices)
    limit_buffers()
    store = Database(options.database or data.database)
    try:
        made, client = store.call(_prepare, options.devices, options.api or endpoints.api)
    finally:
        store.close()
    plan = Plan(
        options.link, endpoints, data.ca / "ca.crt", options.rate, options.hold,
        options.report_every, options.controls,
    )  # fmt: skip
    figures = asyncio.run(run(plan, made, client, _show))
    print("\r\033[K" if sys.stderr.isatty() else "", end="", file=sys.stderr)
    print(json.dumps(figures.to_json()) if options.json else "\n".join(figures.lines()))
    lost = figures.reports_lost + figures.controls_lost
    return 0 if figures.held == options.devices and not lost else 1


def _prepare(session: Session, count: int, api: str) -> tuple[list[Credentials], OpenApiClient]:
    """Add devices that one account owns, and an app that may control them."""
    now = now_ms()
    account = apps.account(session, USER, now)
    app = apps.add_app(session, "fleet", AppType.WEB, None, now)
    token, _ = apps.issue_token(session, app.id, USER, now)
    made = []
    for _ in range(count):
        device = devices.add(session, None, now)
        devices.bind(session, device.uuid, device.bind_token or "", account.id, now)
        made.append(Credentials(device.uuid, device.token))
    return made, OpenApiClient(api, app.apikey, app.secret, token)


def _show(line: str) -> None:
    """Show the progress on one line of a terminal, else a line each."""
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


def _allow_files(wanted: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < wanted + SPARE_FILES:
        raise StagingError(
            f"the limit of open files is {hard}, the fleet needs {wanted + SPARE_FILES}"
        )


if __name__ == "__main__":
    sys.exit(main())
