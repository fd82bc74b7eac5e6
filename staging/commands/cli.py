"""``story-cloud``: the server, and the commands that work on its data folder, also while it runs.

Each command prints short lines, or one JSON object with ``--json``. An error is one line on stderr
and a code of `staging.commands.exits`.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NoReturn

from base.log_text import escape
from base.printing import run_printing
from staging.commands import audited, exits
from staging.commands.common import DATABASE_VARIABLE, Result
from staging.errors import StagingError
from wire.errors import WireError

# The module of each subject and its commands, in the order of the help. A module adds its commands itself, with the
# functions that run them, and only the module of the command that was given is imported: all of them take a second.
SUBJECTS: Final = {
    "serve": ("serve", "worker"),
    "devices": ("device",),
    "bind_tokens": ("bind-token",),
    "apps": ("app",),
    "accounts": ("account",),
    "tokens": ("token",),
    "sessions": ("session",),
    "audit_entries": ("audit",),
    "products": ("product",),
    "batches": ("batch",),
    "data_points": ("datapoint",),
    "releases": ("release",),
    "sboms": ("sbom",),
    "strategies": ("strategy",),
    "rollouts": ("rollout",),
    "updates": ("update",),
    "advising": ("advise",),
    "alarms": ("alarm",),
    "healths": ("health",),
    "sentences": ("say", "heard"),
    "title_lists": ("catalogue",),
    "faults": ("fault",),
    "wire_logs": ("wire",),
    "diagnoses": ("diag",),
    "apt_repositories": ("apt-repo",),
    "backups": ("backup", "restore", "check", "sizes"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit code."""
    return run_printing("story-cloud", lambda: _run_command(arguments))


def _run_command(arguments: list[str] | None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    with _uncollected():
        options = build_parser(needed_subjects(words)).parse_args(words)
    try:
        result: Result | None = options.run(options)
        audited.note(options, result)
    except (StagingError, WireError) as error:
        return _fail(str(error))
    except BrokenPipeError:
        raise  # the reader of what is printed has gone: `run_printing`
    except OSError as error:
        return _fail(f"{error.filename or 'system'}: {error.strerror}")
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except Exception as error:
        reason = _store_reason(error)
        if reason is None:
            raise
        return _fail(f"database: {reason}")
    if result is not None:
        lines = [json.dumps(result.value, ensure_ascii=False)] if options.json else result.lines
        # What devices and apps named must not write to a terminal what it obeys.
        print("\n".join(map(escape, "\n".join(lines).split("\n"))))
        return result.code
    return exits.DONE


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Import without collections of garbage: there is next to none, and looking for it is a quarter of a command's start."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _store_reason(error: Exception) -> str | None:
    """Return the reason in an error of the database; None if it is another error."""
    library = sys.modules.get("sqlalchemy.exc")
    if library is None or not isinstance(error, library.SQLAlchemyError):
        return None
    from staging.store import engine

    return engine.reason(error)


def default_data() -> Path:
    """Return the default of ``--data``."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "story-cloud"


def _fail(message: str) -> int:
    print(f"story-cloud: {escape(' '.join(message.split()))}", file=sys.stderr)
    return exits.FAILED


def needed_subjects(words: Sequence[str]) -> Iterable[str]:
    """Return the subject of the command in ``words``; all of them where help or an error must name them."""
    parser = _Sketch(add_help=False)
    _add_common(parser, default=True)
    parser.add_argument("command", nargs="?")
    try:
        given = parser.parse_known_args(list(words))[0].command
    except _UnclearError:
        given = None
    return [name for name, commands in SUBJECTS.items() if given in commands] or SUBJECTS


class _UnclearError(Exception):
    """The words are not those of a command."""


class _Sketch(argparse.ArgumentParser):
    """A parser that leaves it to the real one to print an error."""

    def error(self, message: str) -> NoReturn:
        raise _UnclearError(message)


def build_parser(subjects: Iterable[str] = SUBJECTS) -> argparse.ArgumentParser:
    """Return the parser of the command line, with the commands of ``subjects``."""
    parser = argparse.ArgumentParser(prog="story-cloud", description="The staging cloud.")
    _add_common(parser, default=True)
    common = argparse.ArgumentParser(add_help=False)
    _add_common(common, default=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for subject in subjects:
        importlib.import_module(f"staging.commands.{subject}").add_commands(commands, common)
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
