"""The wire log of a device: shown, followed, switched on, and written to a file that can be replayed."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from base.files import write_atomically
from staging.commands.asking import ask
from staging.commands.audited import system_user
from staging.commands.common import Commands, Result, command, data_of
from staging.errors import StagingError
from staging.times import now_ms

# Seconds between two looks of --follow: a frame is shown within a second.
LOOK_SECONDS = 0.5
ON_SECONDS = 3600
_ARROWS = {"up": "→", "down": "←"}
_HEX_SHOWN = 64


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the command ``wire``."""
    wire = command(
        commands, "wire", common, _wire,
        "show what a device and the cloud say to each other, each frame as hex and decoded, without secrets",
    )  # fmt: skip
    wire.add_argument("uuid", metavar="UUID")
    how = wire.add_mutually_exclusive_group()
    how.add_argument("--follow", action="store_true", help="go on until Ctrl-C, as it happens")
    how.add_argument("--on", type=_seconds, metavar="SECONDS", nargs="?", const=ON_SECONDS,
                     help=f"keep the frames for so long, also while nobody looks ({ON_SECONDS})")  # fmt: skip
    how.add_argument("--off", action="store_true", help="keep no more")
    how.add_argument(
        "--export", type=Path, metavar="FILE", help="write what is kept, to be replayed"
    )


def _seconds(text: str) -> int:
    from staging.wirelog.log import ON_SECONDS_MAX

    if not (text.isascii() and text.isdigit() and 0 < int(text) <= ON_SECONDS_MAX):
        raise argparse.ArgumentTypeError(
            f"got {text!r}, expected seconds from 1 to {ON_SECONDS_MAX}"
        )
    return int(text)


def _ask(options: argparse.Namespace, work: str, /, **wanted: object) -> dict[str, Any]:
    told = {"uuid": options.uuid, "user": system_user(os.environ)}
    return ask(data_of(options).root, f"wirelog.{work}", told | wanted)


def _wire(options: argparse.Namespace) -> Result:
    if options.on:
        value = _ask(options, "on", seconds=options.on)
        return Result(value, [f"kept for {value['left']} s: story-cloud wire {value['uuid']}"])
    if options.off:
        return Result(_ask(options, "off"), ["no frames are kept any more"])
    if options.export:
        return _export(options)
    if options.follow:
        return _follow(options)
    found = list(_read(options))
    lines = [line for entry in found for line in shown(entry)]
    nothing = (
        "nothing was kept; from now on it is, for a minute: --follow shows it, --on keeps it longer"
    )
    return Result({"uuid": options.uuid, "entries": found}, lines or [nothing])


def _read(options: argparse.Namespace, after: int = 0) -> Iterator[dict[str, Any]]:
    """Yield what is kept behind the number ``after``, in as many answers as it takes."""
    while entries := _ask(options, "read", after=after)["entries"]:
        yield from entries
        after = entries[-1]["number"]


def _follow(options: argparse.Namespace) -> Result:
    after = 0
    while True:
        for entry in _read(options, after):
            after = entry["number"]
            told = [json.dumps(entry, ensure_ascii=False)] if options.json else shown(entry)
            print("\n".join(told), flush=True)
        time.sleep(LOOK_SECONDS)


def _export(options: argparse.Namespace) -> Result:
    from staging.wirelog import export

    found = list(_read(options))
    if not found:
        raise StagingError(
            f"wire: nothing was kept of {options.uuid}: story-cloud wire {options.uuid} --on"
        )
    text = "".join([export.head(options.uuid.lower(), now_ms()), *export.lines(found)])
    write_atomically(options.export, text.encode(), mode=0o600)
    value = {"file": str(options.export), "entries": len(found)}
    return Result(value, [f"wrote {options.export}: {len(found)} entries, without secrets"])


def shown(entry: Mapping[str, Any]) -> list[str]:
    """Return the lines that show an entry: what it says, and its bytes."""
    at = entry["ts"] / 1000
    clock = time.strftime("%H:%M:%S", time.localtime(at)) + f".{entry['ts'] % 1000:03}"
    head = f"{clock} #{entry['connection']} {entry['link']}"
    if entry["way"] == "note":
        return [f"{head} {entry['text']}"]
    doubt = " NOT PROVEN" if entry.get("proven") is False else ""
    head += f" {_ARROWS[entry['way']]} {entry['size']} bytes{doubt}"
    told = f"MALFORMED: {entry['problem']}" if "problem" in entry else _told(entry.get("view", {}))
    digits = entry["hex"]
    cut = "…" if len(digits) > 2 * _HEX_SHOWN and sys.stdout.isatty() else ""
    return [f"{head} {told}".rstrip(), f"    {digits[: 2 * _HEX_SHOWN] + cut if cut else digits}"]


def _told(view: Mapping[str, Any]) -> str:
    """Return what a frame says in one line."""
    words = []
    for name, value in view.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        plain = name in {"type", "code", "path", "topic", "payload"}
        words.append(text if plain else f"{name}={text}")
    return " ".join(" ".join(words).split())
