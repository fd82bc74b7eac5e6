"""``story-release``: makes release packages and the signed repository that devices trust."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from ota.errors import OtaError
from wire.errors import WireError

DEFAULT_PRODUCT = "story-machine"

Result = Mapping[str, object]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 1 refused (one line on stderr), 2 usage."""
    options = _parser().parse_args(arguments)
    # What signs loads late: `--help` and mistakes in the command line answer at once.
    from ota.repository import ReleaseToolError  # noqa: PLC0415

    command: Callable[[argparse.Namespace], Result] = options.command
    try:
        _print(command(options), as_json=options.json)
        sys.stdout.flush()
    except (
        BrokenPipeError
    ):  # a reader such as `head` has enough; the exit's flush must not complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ReleaseToolError, WireError, OtaError, OSError) as error:
        sys.stderr.write(f"story-release: {' '.join(str(error).split())}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("story-release: interrupted\n")
        return 130
    return 0


def _print(result: Result, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result, ensure_ascii=False))
        return
    for name, value in result.items():
        shown = value if isinstance(value, str | int) else json.dumps(value, ensure_ascii=False)
        print(f"{name}: {shown}")


def _init(options: argparse.Namespace) -> Result:
    from ota.repository import Repository  # noqa: PLC0415

    repository = Repository(options.repo, options.keys)
    repository.create()
    return {
        "repository": str(options.repo),
        "keys": str(options.keys),
        "root": str(repository.root_file),
    }


def _build(options: argparse.Namespace) -> Result:
    from ota.build import build_release  # noqa: PLC0415

    info = build_release(
        options.version,
        options.output,
        product=options.product,
        source=options.source,
        with_dependencies=options.with_dependencies,
    )
    size = options.output.stat().st_size
    return {"file": str(options.output), "size": size, **asdict(info)}


def _add(options: argparse.Namespace) -> Result:
    from ota.repository import ReleaseToolError, Repository  # noqa: PLC0415

    info = _inspect(options.file)
    asked = {"product": options.product, "version": options.version}
    for name, value in asked.items():
        if info[name] != value:
            raise ReleaseToolError(
                f"{options.file}: its {name} is {info[name]!r}, --{name} says {value!r}"
            )
    repository = Repository(options.repo, options.keys)
    return asdict(repository.add(options.file, options.product, options.version))


def _refresh(options: argparse.Namespace) -> Result:
    from ota.repository import Repository  # noqa: PLC0415

    repository = Repository(options.repo, options.keys)
    repository.refresh()
    return repository.show()


def _verify(options: argparse.Namespace) -> Result:
    from ota.repository import Repository  # noqa: PLC0415

    if options.repo is not None:
        return Repository(options.repo).verify()
    return {**_inspect(options.file), "valid": True}


def _show(options: argparse.Namespace) -> Result:
    from ota.repository import Repository  # noqa: PLC0415

    return Repository(options.repo).show()


def _inspect(file: Path) -> dict[str, object]:
    from ota.unpack import inspect_package  # noqa: PLC0415

    return asdict(inspect_package(file))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="story-release", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = _command(commands, "init", _init, "make keys and an empty signed repository")
    _folders(command)

    command = _command(commands, "build", _build, "make the package of a version")
    command.add_argument("--version", required=True, help='such as "1.1.0"')
    command.add_argument("--output", required=True, type=Path, metavar="FILE")
    command.add_argument("--product", default=DEFAULT_PRODUCT, help="default: %(default)s")
    command.add_argument(
        "--source",
        type=Path,
        default=Path(__file__).resolve().parents[1],
        metavar="DIR",
        help="folder that holds wire, transport, resources, ota, agent; default: this code's",
    )
    command.add_argument(
        "--with-dependencies",
        action="store_true",
        help="bring the dependencies along, for this machine's architecture",
    )

    command = _command(commands, "add", _add, "sign a package into the repository")
    command.add_argument("file", type=Path, metavar="FILE")
    _folders(command)
    command.add_argument("--product", required=True)
    command.add_argument("--version", required=True)

    command = _command(commands, "refresh", _refresh, "sign a new snapshot and timestamp")
    _folders(command)

    command = _command(commands, "verify", _verify, "check a package or a whole repository")
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("file", nargs="?", type=Path, metavar="FILE")
    which.add_argument("--repo", type=Path, metavar="DIR")

    command = _command(commands, "show", _show, "list roles, expiry and targets")
    command.add_argument("--repo", required=True, type=Path, metavar="DIR")
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    function: Callable[[argparse.Namespace], Result],
    text: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text)
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(command=function)
    return command


def _folders(command: argparse.ArgumentParser) -> None:
    command.add_argument("--repo", required=True, type=Path, metavar="DIR")
    command.add_argument("--keys", required=True, type=Path, metavar="DIR")


if __name__ == "__main__":
    sys.exit(main())
