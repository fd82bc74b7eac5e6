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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn

from base.arguments import Parser
from base.log_text import escape
from base.printing import run_printing
from staging.commands import at_server, audited, exits
from staging.commands.common import DATABASE_VARIABLE, ZH, Commands, Result, language
from staging.errors import StagingError, StoreBusyError, StoreFaultError
from wire.errors import WireError, show

# The module of each subject and its commands, in the order of the help. A module adds its commands itself, with the
# functions that run them, and only the module of the command that was given is imported: all of them take a second.
SUBJECTS: Final[Mapping[str, Mapping[str, str]]] = {
    "serve": {
        "serve": "run the cloud until SIGTERM",
        "worker": "serve the devices at the broker of a story-cloud serve, beside it",
    },
    "devices": {"device": "add, list and flash devices"},
    "bind_tokens": {"bind-token": "bind tokens that families have left behind"},
    "apps": {"app": "add and list apps, bind them to products"},
    "accounts": {"account": "add and list accounts, and what they may"},
    "tokens": {"token": "let an app act for a user"},
    "sessions": {"session": "end log-ins at the console"},
    "audit_entries": {"audit": "who did what to which device"},
    "products": {"product": "add and list products"},
    "batches": {"batch": "add and list batches of devices"},
    "data_points": {"datapoint": "add, list and remove data points"},
    "releases": {"release": "add and list packages"},
    "sboms": {"sbom": "of which parts releases are, and which devices run one"},
    "strategies": {"strategy": "plan and publish who is offered a package"},
    "rollouts": {"rollout": "bring a version to devices a part at a time"},
    "updates": {"update": "what becomes of ordered updates"},
    "advising": {
        "advise": "check a machine against the document (docs/advisor.md); advise list, advise compare A B, "
        "advise verify REPORT"
    },
    "alarms": {"alarm": "what is wrong with devices and versions"},
    "healths": {"health": "how devices do, by version and batch"},
    "sentences": {
        "say": "let a device do what a sentence asks for",
        "heard": "show what was said and done, newest first",
    },
    "title_lists": {"catalogue": "what devices can play, for matching titles"},
    "faults": {"fault": "make faults on purpose, on a bench"},
    "wire_logs": {
        "wire": "show what a device and the cloud say to each other, each frame as hex and decoded, without secrets"
    },
    "diagnoses": {"diag": "fetch a machine's diagnosis and log, without secrets"},
    "apt_repositories": {"apt-repo": "make or renew a signed apt repository"},
    "backups": {
        "backup": "save the store, the CA and the update repository in one file, also while the cloud runs",
        "restore": "put a backup in the place of a cloud that does not run",
        "check": "look the whole store through for damage",
        "sizes": "show what takes how much room",
    },
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit code."""
    return run_printing("story-cloud", lambda: _run_command(arguments))


def _run_command(arguments: list[str] | None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    try:
        result, as_json = _run_at_server(words) or _run_here(words)
    except BrokenPipeError:
        raise  # the reader of what is printed has gone: `run_printing`
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except UnicodeEncodeError:
        # Neither the store nor JSON takes bytes that are no text; a file's name may be of such bytes.
        strange = next(
            (word for word in words if "\N{REPLACEMENT CHARACTER}" in _as_text(word)), None
        )
        if strange is None:
            raise
        return _fail(f"word: got {show(os.fsencode(strange))}, expected UTF-8 text")
    except Exception as error:
        reason = reason_of(error)
        if reason is None:
            raise
        if isinstance(error, StoreFaultError | StoreBusyError) and language(os.environ) == ZH:
            reason = error.zh
        return _fail(reason)
    if result is None:
        return exits.DONE
    lines = [json.dumps(result.value, ensure_ascii=False)] if as_json else result.lines
    # What devices and apps named must not write to a terminal what it obeys.
    print("\n".join(map(escape, "\n".join(lines).split("\n"))))
    return result.code


def _as_text(word: str) -> str:
    return os.fsencode(word).decode("utf-8", "replace")


def _run_at_server(words: Sequence[str]) -> tuple[Result, bool] | None:
    given = given_of(words)
    return None if given is None else at_server.run(given)


def _run_here(words: Sequence[str]) -> tuple[Result | None, bool]:
    """Run a command in this process; return what it found, and whether that is printed as JSON."""
    with _uncollected():
        options = _parser_for(words).parse_args(words)
    result: Result | None = options.run(options)
    if told := audited.note(options, result):
        print(f"story-cloud: {told}", file=sys.stderr)
    return result, bool(options.json)


def reason_of(error: Exception) -> str | None:
    """Return what a person is told of an error, in one line; None: it is a fault of this program."""
    if isinstance(error, StagingError | WireError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename or 'system'}: {error.strerror}"
    reason = _store_reason(error)
    return None if reason is None else f"database: {reason}"


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


def given_of(words: Sequence[str]) -> at_server.Given | None:
    """Return what is on a command line; None: the real parser must say what is wrong with it."""
    parser = _Sketch(add_help=False)
    _add_common(parser, default=True)
    parser.add_argument("command", nargs="?")
    try:
        options, rest = parser.parse_known_args(list(words))
    except _UnclearError:
        return None
    first = () if options.command is None else (options.command,)
    return at_server.Given(options.data.absolute(), options.database, options.json, (*first, *rest))


def needed_subjects(words: Sequence[str]) -> Sequence[str]:
    """Return the subject of the command in ``words``; none where help or an error must name them all."""
    given = given_of(words)
    first = "" if given is None else next(iter(given.words), "")
    return [name for name, commands in SUBJECTS.items() if first in commands]


def _parser_for(words: Sequence[str]) -> argparse.ArgumentParser:
    return build_parser(needed_subjects(words)) if needed_subjects(words) else _overview()


def _overview() -> argparse.ArgumentParser:
    """Return a parser that knows of the commands no more than its help says: it imports none of them."""
    parser, _common, commands = _begin(Parser)
    for names in SUBJECTS.values():
        for name, text in names.items():
            commands.add_parser(name, help=text)
    return parser


class _UnclearError(Exception):
    """The words are not those of a command."""


class _Sketch(argparse.ArgumentParser):
    """A parser that leaves it to the real one to print an error."""

    def error(self, message: str) -> NoReturn:
        raise _UnclearError(message)


def build_parser(
    subjects: Iterable[str] = SUBJECTS,
    kind: type[argparse.ArgumentParser] = Parser,
) -> argparse.ArgumentParser:
    """Return the parser of the command line, with the commands of ``subjects``."""
    parser, common, commands = _begin(kind)
    for subject in subjects:
        importlib.import_module(f"staging.commands.{subject}").add_commands(commands, common)
    return parser


def _begin(
    kind: type[argparse.ArgumentParser],
) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser, Commands[argparse.ArgumentParser]]:
    parser = kind(prog="story-cloud", description="The staging cloud.")
    _add_common(parser, default=True)
    common = argparse.ArgumentParser(add_help=False)
    _add_common(common, default=False)
    return parser, common, parser.add_subparsers(required=True, metavar="COMMAND")


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
