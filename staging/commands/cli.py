"""``story-cloud``: the server, and the commands that work on its data folder, also while it runs.

Each command prints short lines, or one JSON object with ``--json``. An error is one line on stderr
and exit code 1 (2 for a wrong command line).
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from staging import logs, server
from staging.commands import devices, products, recognition, releases, updates
from staging.commands.common import DATABASE_VARIABLE, Commands, Result, data_of, database_of
from staging.data_dir import Endpoints
from staging.errors import StagingError
from staging.store import engine
from wire.errors import WireError

PORT_MAX = 65535
API_PORT, DEVICE_PORT = 8080, 9001


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        result: Result | None = options.run(options)
    except (StagingError, WireError) as error:
        return _fail(str(error))
    except SQLAlchemyError as error:
        return _fail(f"database: {engine.reason(error)}")
    except OSError as error:
        return _fail(f"{error.filename or 'system'}: {error.strerror}")
    except KeyboardInterrupt:
        return 130
    if result is not None:
        lines = [json.dumps(result.value, ensure_ascii=False)] if options.json else result.lines
        print("\n".join(lines))
    return 0


def default_data() -> Path:
    """Return the default of ``--data``."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "story-cloud"


def _fail(message: str) -> int:
    print(f"story-cloud: {' '.join(message.split())}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="story-cloud", description="The staging cloud.")
    _add_common(parser, default=True)
    common = argparse.ArgumentParser(add_help=False)
    _add_common(common, default=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(commands, common)
    devices.add_commands(commands, common)
    products.add_commands(commands, common)
    releases.add_commands(commands, common)
    updates.add_commands(commands, common)
    recognition.add_commands(commands, common)
    return parser


def _add_common(parser: argparse.ArgumentParser, *, default: bool) -> None:
    """Add the options that are valid before and after the command."""
    kept = argparse.SUPPRESS
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        default=default_data() if default else kept,
        help="where everything is kept (default: $XDG_DATA_HOME/story-cloud)",
    )
    parser.add_argument(
        "--database",
        metavar="URL",
        default=None if default else kept,
        help=f"PostgreSQL or another SQLite file (default: ${DATABASE_VARIABLE}, else in DIR)",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        default=False if default else kept,
        help="print one JSON object",
    )


def _add_serve(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    serve = commands.add_parser("serve", parents=[common], help="run the cloud until SIGTERM")
    serve.add_argument("--host", default="127.0.0.1", metavar="ADDR", help="where to listen")
    serve.add_argument("--api-port", type=_port, default=API_PORT, metavar="N")
    serve.add_argument("--device-port", type=_port, default=DEVICE_PORT, metavar="N")
    serve.add_argument(
        "--legacy-tls",
        action="store_true",
        help="admit the weak suites of 2017 firmware; on a bench only",
    )
    serve.add_argument(
        "--recognise",
        action="store_true",
        help="let what devices hear control them; needs the extra [asr] (docs/recognition.md)",
    )
    serve.set_defaults(run=_serve)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= PORT_MAX):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a port from 0 to {PORT_MAX}")
    return int(text)


def _serve(options: argparse.Namespace) -> None:
    logs.set_up(logging.INFO)
    wanted = server.ServeOptions(
        data=data_of(options),
        database=database_of(options),
        host=options.host,
        api_port=options.api_port,
        device_port=options.device_port,
        legacy_tls=options.legacy_tls,
        recognise=options.recognise,
    )

    def ready(endpoints: Endpoints) -> None:
        if options.json:
            print(json.dumps({"api": endpoints.api, "device": endpoints.device}), flush=True)
        else:
            print(f"ready api={endpoints.api} device={endpoints.device}", flush=True)

    server.run(wanted, ready)


if __name__ == "__main__":
    sys.exit(main())
