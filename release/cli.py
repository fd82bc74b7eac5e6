"""``story-release``: makes release packages and the signed repository that devices trust."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence

from base.arguments import Parser
from base.printing import run_printing
from ota.errors import OtaError
from release.commands import keys, packages, releases, repository, sboms
from release.commands.common import Result
from release.errors import ReleaseToolError
from wire.errors import WireError

# In the order of the help. TUF and cryptography are imported by the command that needs them, so that
# `--help` and wrong usage are answered at once.
COMMANDS = (
    repository.init,
    packages.build,
    sboms.sbom,
    sboms.vex,
    releases.add,
    releases.promote,
    releases.revoke,
    keys.key,
    repository.sign,
    repository.publish,
    repository.refresh,
    packages.verify,
    repository.show,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 1 refused (one line on stderr), 2 usage."""
    return run_printing("story-release", lambda: _run_command(arguments))


def _run_command(arguments: Sequence[str] | None) -> int:
    options = build_parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], Result] = options.run
    try:
        _print(run(options), as_json=options.json)
    except BrokenPipeError:
        raise  # the reader of what is printed has gone: `run_printing`
    except (ReleaseToolError, WireError, OtaError, OSError) as error:
        sys.stderr.write(f"story-release: {' '.join(_told(error).split())}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("story-release: interrupted\n")
        return 130
    return 0


def _told(error: Exception) -> str:
    """Return why a command failed; of a file or disk its name, and the system's word for what is wrong there."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _print(result: Result, *, as_json: bool) -> None:
    if as_json:
        _print_line(json.dumps(result, ensure_ascii=False))
        return
    for name, value in result.items():
        shown = value if isinstance(value, str | int) else json.dumps(value, ensure_ascii=False)
        _print_line(f"{name}: {shown}")


def _print_line(text: str) -> None:
    """Print text (a path, a reason), escaping characters that the terminal cannot encode."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser: argparse.ArgumentParser = Parser(prog="story-release", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for register in COMMANDS:
        register(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
