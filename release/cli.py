"""``story-release``: makes release packages and the signed repository that devices trust."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ota.errors import ContentError, OtaError
from ota.trust.terms import Terms
from wire.errors import WireError
from wire.ota import InstallerKind

if TYPE_CHECKING:
    from release.repository import Repository
    from release.tuf_types import Key

DEFAULT_PRODUCT = "story-machine"

Result = Mapping[str, object]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 1 refused (one line on stderr), 2 usage."""
    options = _parser().parse_args(arguments)
    # The signing modules are imported late, so that `--help` and usage errors are fast.
    from release.repository import ReleaseToolError  # noqa: PLC0415

    command: Callable[[argparse.Namespace], Result] = options.command
    try:
        _print(command(options), as_json=options.json)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (such as `head`) has closed the pipe; the flush at exit must not fail as well.
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
        _print_line(json.dumps(result, ensure_ascii=False))
        return
    for name, value in result.items():
        shown = value if isinstance(value, str | int) else json.dumps(value, ensure_ascii=False)
        _print_line(f"{name}: {shown}")


def _print_line(text: str) -> None:
    """Print text (a path, a reason), escaping characters that the terminal cannot encode."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding))


def _open(options: argparse.Namespace) -> Repository:
    from release.keys import Passphrase, ask_on_terminal  # noqa: PLC0415
    from release.repository import Repository  # noqa: PLC0415

    passphrase = Passphrase(options.passphrase_file, ask_on_terminal())
    return Repository(options.repo, options.keys, passphrase)


def _init(options: argparse.Namespace) -> Result:
    from release.repository import KeyCount  # noqa: PLC0415

    repository = _open(options)
    repository.create(
        {
            "root": KeyCount(options.root_keys, options.root_threshold),
            "targets": KeyCount(options.targets_keys, options.targets_threshold),
        }
    )
    return {
        "repository": str(options.repo),
        "keys": str(options.keys),
        "root": str(repository.root_file),
    }


def _build(options: argparse.Namespace) -> Result:
    from release.build import build_release  # noqa: PLC0415

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
    from release.repository import ReleaseToolError  # noqa: PLC0415

    bundle_map, no_map = None, None
    if options.installer == InstallerKind.SLOTS:
        info = _inspect(options.file)
        asked = {"product": options.product, "version": options.version}
        for name, value in asked.items():
            if info[name] != value:
                raise ReleaseToolError(
                    f"{options.file}: its {name} is {info[name]!r}, --{name} says {value!r}"
                )
    else:
        _check_bundle(options.file)
        bundle_map, no_map = _map(options.file)
    added, outcome = _open(options).add_and_tell(
        options.file, options.product, options.version, _terms(options), bundle_map
    )
    told: dict[str, object] = {} if no_map is None else {"map": no_map}
    if outcome.kept:  # the same package was added before: its terms stay, even if others were given
        told["kept"] = outcome.kept
    # A complete role is published at once, so only staged roles are reported.
    return asdict(added) | told | ({"staged": dict(outcome.staged)} if outcome.staged else {})


def _map(file: Path) -> tuple[bytes | None, str]:
    """Make the map that lets machines fetch parts of a bundle.

    Returns:
        The map (None if it cannot be made), and its size or the reason, as text.
    """
    from release.bundle_maps import make_map  # noqa: PLC0415

    try:
        data = make_map(file).to_bytes()
    except ContentError as error:
        return None, f"none, machines fetch it whole ({error})"
    return data, f"{len(data)} bytes"


def _check_bundle(file: Path) -> None:
    """Refuse a file that is not a RAUC bundle; RAUC checks the rest.

    Plain and verity bundles start with a squashfs.
    """
    from release.repository import ReleaseToolError  # noqa: PLC0415

    with file.open("rb") as opened:
        if opened.read(4) != b"hsqs":
            raise ReleaseToolError(f"{file}: not a RAUC bundle")


def _terms(options: argparse.Namespace) -> Terms:
    channels = tuple(options.channel) if options.channel else None
    return Terms(
        product=options.product,
        version=options.version,
        installer=options.installer,
        hardware=tuple(options.hardware),
        min_agent=_version(options.min_agent),
        data_budget=options.data_budget,
        downgrade_from=tuple(_version(v) or "" for v in options.allow_downgrade_from),
        channels=() if options.hold else channels,
    )


def _version(text: str | None) -> str | None:
    from wire.ota import version_key  # noqa: PLC0415

    if text is not None:
        version_key(text)
    return text


def _refresh(options: argparse.Namespace) -> Result:
    repository = _open(options)
    repository.refresh()
    return repository.show()


def _promote(options: argparse.Namespace) -> Result:
    from release.repository import ReleaseToolError  # noqa: PLC0415

    downgrade = tuple(_version(v) or "" for v in options.allow_downgrade_from)

    def offer(terms: Terms) -> Terms:
        if terms.revoked is not None:
            text = (
                f"version {terms.version} is revoked ({terms.revoked}): no machine would install it"
            )
            raise ReleaseToolError(text)
        known = terms.channels or ()
        more = tuple(name for name in options.channel if name not in known)
        channels = (*known, *more) if options.channel else None
        back = tuple(dict.fromkeys((*terms.downgrade_from, *downgrade)))
        return replace(terms, channels=channels, downgrade_from=back)

    return _edit(options, offer)


def _revoke(options: argparse.Namespace) -> Result:
    return _edit(options, lambda terms: replace(terms, revoked=options.reason))


def _edit(options: argparse.Namespace, change: Callable[[Terms], Terms]) -> Result:
    terms, outcome = _open(options).edit_terms(options.product, options.version, change)
    return {"terms": terms.to_json(), **outcome.to_json()}


def _sign(options: argparse.Namespace) -> Result:
    return _open(options).sign().to_json()


def _publish(options: argparse.Namespace) -> Result:
    return _open(options).publish().to_json()


def _key_new(options: argparse.Namespace) -> Result:
    from release.keys import (  # noqa: PLC0415
        KeyRing,
        Passphrase,
        ReleaseToolError,
        ask_on_terminal,
        write_public_key,
    )

    ring = KeyRing(options.keys, Passphrase(options.passphrase_file, ask_on_terminal()))
    if ring.free_name(options.name) != options.name:
        raise ReleaseToolError(f"{options.keys}: there is a key {options.name} already")
    if options.token is None:
        key = ring.make(options.name)
    else:
        key = ring.adopt_token(options.name, options.token, options.token_key)
    public = options.keys / f"{options.name}.pub.pem"
    write_public_key(public, key)
    return {"keyid": key.keyid, "public": str(public)}


def _key_add(options: argparse.Namespace) -> Result:
    return _change_keys(options, revoke=())


def _key_rotate(options: argparse.Namespace) -> Result:
    return _change_keys(options, revoke=options.old or None)


def _change_keys(options: argparse.Namespace, revoke: Sequence[str] | None) -> Result:
    from release.keys import read_public_key  # noqa: PLC0415

    keys: list[Key] | int = options.count
    if options.public:
        keys = [read_public_key(path) for path in options.public]
    outcome = _open(options).change_keys(options.role, keys, revoke, options.threshold)
    return {"added": list(outcome.keys), **outcome.to_json()}


def _verify(options: argparse.Namespace) -> Result:
    from release.repository import Repository  # noqa: PLC0415

    if options.repo is not None:
        return Repository(options.repo).verify()
    return {**_inspect(options.file), "valid": True}


def _show(options: argparse.Namespace) -> Result:
    from release.repository import Repository  # noqa: PLC0415

    return Repository(options.repo).show()


def _inspect(file: Path) -> dict[str, object]:
    from ota.install.unpack import inspect_package  # noqa: PLC0415

    return asdict(inspect_package(file))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="story-release", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = _command(commands, "init", _init, "make keys and an empty signed repository")
    _folders(command)
    for role in ("root", "targets"):
        for what in ("keys", "threshold"):
            text = f"{what} of the {role} role; default: 1"
            command.add_argument(f"--{role}-{what}", type=int, default=1, metavar="N", help=text)

    command = _command(commands, "build", _build, "make the package of a version")
    command.add_argument("--version", required=True, help='such as "1.1.0"')
    command.add_argument("--output", required=True, type=Path, metavar="FILE")
    command.add_argument("--product", default=DEFAULT_PRODUCT, help="default: %(default)s")
    command.add_argument(
        "--source",
        type=Path,
        default=Path(__file__).resolve().parents[1],
        metavar="DIR",
        help="folder that holds wire, ota, agent and the others; default: this code's",
    )
    command.add_argument(
        "--with-dependencies",
        action="store_true",
        help="bring the dependencies along, for this machine's architecture",
    )

    command = _command(commands, "add", _add, "sign a package into the repository")
    command.add_argument("file", type=Path, metavar="FILE")
    _folders(command)
    _release(command)
    _offer(command)
    command.add_argument("--hold", action="store_true", help="offer it to nobody yet: see promote")
    command.add_argument(
        "--installer",
        choices=[kind.value for kind in InstallerKind],
        default=InstallerKind.SLOTS.value,
        help="default: %(default)s",
    )
    command.add_argument(
        "--hardware", action="append", default=[], metavar="BOARD", help="runs on this board only"
    )
    command.add_argument("--min-agent", metavar="V", help="oldest version that can install it")
    command.add_argument(
        "--data-budget", type=int, metavar="BYTES", help="what its download may cost altogether"
    )

    command = _command(commands, "promote", _promote, "offer a release, to a channel or to all")
    _folders(command)
    _release(command)
    _offer(command)

    command = _command(commands, "revoke", _revoke, "let a release never be installed again")
    _folders(command)
    _release(command)
    command.add_argument("--reason", required=True, help="told by every device that refuses it")

    _key_commands(commands)

    command = _command(commands, "sign", _sign, "add signatures to what is staged")
    _folders(command)

    command = _command(commands, "publish", _publish, "publish what is staged and fully signed")
    _folders(command)

    command = _command(commands, "refresh", _refresh, "sign a new snapshot and timestamp")
    _folders(command)

    command = _command(commands, "verify", _verify, "check a package or a whole repository")
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("file", nargs="?", type=Path, metavar="FILE")
    which.add_argument("--repo", type=Path, metavar="DIR")

    command = _command(commands, "show", _show, "list roles, expiry and targets")
    command.add_argument("--repo", required=True, type=Path, metavar="DIR")
    return parser


def _key_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    group = commands.add_parser("key", help="make, add and rotate signing keys")
    actions = group.add_subparsers(required=True, metavar="ACTION")

    command = _command(actions, "new", _key_new, "make a key pair on its holder's own machine")
    command.add_argument("name", metavar="NAME")
    _key_folder(command)
    command.add_argument(
        "--token", metavar="LABEL", help="take a key of this PKCS#11 token instead"
    )
    command.add_argument("--token-key", type=int, default=2, metavar="ID", help="default: 2")

    for name, function, text in (
        ("add", _key_add, "give a role one more key; a product: a role of its own"),
        ("rotate", _key_rotate, "give a role new keys instead of its old ones"),
    ):
        command = _command(actions, name, function, text)
        command.add_argument("role", metavar="ROLE", help="root, targets, snapshot, … or a product")
        _folders(command)
        command.add_argument(
            "--public", type=Path, action="append", metavar="PEM", help="a holder's public key"
        )
        command.add_argument("--count", type=int, default=1, metavar="N", help="keys to make here")
        command.add_argument("--threshold", type=int, metavar="M", help="how many must sign")
        if name == "rotate":
            command.add_argument(
                "--old", action="append", metavar="KEYID", help="only this one goes; default: all"
            )


def _release(command: argparse.ArgumentParser) -> None:
    command.add_argument("--product", required=True)
    command.add_argument("--version", required=True)


def _offer(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--channel", action="append", default=[], help="offer it to this channel; default: to all"
    )
    command.add_argument(
        "--allow-downgrade-from",
        action="append",
        default=[],
        metavar="V",
        help="a newer version that may go back to it",
    )


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
    _key_folder(command)


def _key_folder(command: argparse.ArgumentParser) -> None:
    command.add_argument("--keys", required=True, type=Path, metavar="DIR")
    text = "its first line opens (and encrypts new) keys; else STORY_RELEASE_PASSPHRASE"
    command.add_argument("--passphrase-file", type=Path, metavar="FILE", help=text)


if __name__ == "__main__":
    sys.exit(main())
