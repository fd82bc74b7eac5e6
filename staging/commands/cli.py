"""``story-cloud``: the server, and the commands that work on its data folder, also while it runs.

Each command prints short lines, or one JSON object with ``--json``. An error is one line on stderr
and a code of `staging.commands.exits`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from base.printing import run_printing
from staging.commands import (
    accounts,
    apps,
    apt_repositories,
    batches,
    data_points,
    devices,
    exits,
    products,
    releases,
    sboms,
    sentences,
    serve,
    strategies,
    title_lists,
    tokens,
    updates,
)
from staging.commands.common import DATABASE_VARIABLE, Result
from staging.errors import StagingError
from staging.store import engine
from wire.errors import WireError

# In the order of the help. Each adds its commands itself, with the functions that run them.
SUBJECTS = (
    serve,
    devices,
    apps,
    accounts,
    tokens,
    products,
    batches,
    data_points,
    releases,
    sboms,
    strategies,
    updates,
    sentences,
    title_lists,
    apt_repositories,
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit code."""
    return run_printing("story-cloud", lambda: _run_command(arguments))


def _run_command(arguments: list[str] | None) -> int:
    options = build_parser().parse_args(arguments)
    try:
        result: Result | None = options.run(options)
    except (StagingError, WireError) as error:
        return _fail(str(error))
    except SQLAlchemyError as error:
        return _fail(f"database: {engine.reason(error)}")
    except BrokenPipeError:
        raise  # the reader of what is printed has gone: `run_printing`
    except OSError as error:
        return _fail(f"{error.filename or 'system'}: {error.strerror}")
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    if result is not None:
        lines = [json.dumps(result.value, ensure_ascii=False)] if options.json else result.lines
        print("\n".join(lines))
    return exits.DONE


def default_data() -> Path:
    """Return the default of ``--data``."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "story-cloud"


def _fail(message: str) -> int:
    print(f"story-cloud: {' '.join(message.split())}", file=sys.stderr)
    return exits.FAILED


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(prog="story-cloud", description="The staging cloud.")
    _add_common(parser, default=True)
    common = argparse.ArgumentParser(add_help=False)
    _add_common(common, default=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for subject in SUBJECTS:
        subject.add_commands(commands, common)
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


if __name__ == "__main__":
    sys.exit(main())
