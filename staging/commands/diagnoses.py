"""A machine's diagnosis, fetched over its link: the archive that ``story-agent diag`` makes there."""

from __future__ import annotations

import argparse
import base64
import os
import sys
import time
from pathlib import Path
from typing import Any

from base.files import write_atomically
from staging.commands.asking import ask
from staging.commands.audited import system_user
from staging.commands.common import Commands, Result, command, data_of
from staging.errors import StagingError

LOOK_SECONDS = 1.0
# As long as the server tries.
WAIT_SECONDS = 620.0
MODE = 0o600


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the command ``diag``."""
    diag = command(
        commands, "diag", common, _diag, "fetch a machine's diagnosis and log, without secrets"
    )
    diag.add_argument("uuid", metavar="UUID")
    diag.add_argument(
        "file", metavar="FILE", type=Path, nargs="?", help="default: diag-UUID.tar.gz"
    )


def _ask(options: argparse.Namespace, work: str, /, **wanted: object) -> dict[str, Any]:
    told = {"uuid": options.uuid, "user": system_user(os.environ)}
    return ask(data_of(options).root, work, told | wanted)


def _diag(options: argparse.Namespace) -> Result:
    state = _ask(options, "device.diag")
    options.server_did = True
    end = time.monotonic() + WAIT_SECONDS
    while state["state"] in {"gathering", "fetching"} and time.monotonic() < end:
        if sys.stderr.isatty():
            print(
                f"\r{state['state']} {state['done']}/{state['parts'] or '?'} ",
                end="",
                file=sys.stderr,
            )
        time.sleep(LOOK_SECONDS)
        state = _ask(options, "diag.look")
    if state["state"] != "ready":
        raise StagingError(f"device {options.uuid}: {state.get('message', state['state'])}")
    archive = b""
    while len(archive) < state["size"]:
        piece = base64.b64decode(_ask(options, "diag.read", at=len(archive))["data"])
        if not piece:
            raise StagingError(f"device {options.uuid}: another diagnosis was begun meanwhile")
        archive += piece
    file = options.file or Path(f"diag-{options.uuid.lower()}.tar.gz")
    write_atomically(file, archive, mode=MODE)
    return Result(
        {"file": str(file), "size": len(archive)},
        [f"wrote {file} ({len(archive)} bytes), without secrets"],
    )
