"""The commands of a machine's first day and its last one with a family, for `agent.cli`.

What they need is imported when one of them runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from agent.words import Words, say

# The longest that a start, a slow Wi-Fi and the link's first tries take together.
WAIT_SECONDS = 60.0
SECONDS_MAX = 3600


def register(subparsers: Any, asking: argparse.ArgumentParser, profile: Path, config: Path) -> None:
    """Add the commands; ``asking`` has the options that all share, the files are the defaults."""
    both = argparse.ArgumentParser(add_help=False, parents=[asking])
    both.add_argument(
        "--profile", type=Path, metavar="FILE", default=profile,
        help=_text(f"身份文件（默认 {profile}）", f"default {profile}"),
    )  # fmt: skip
    all_files = argparse.ArgumentParser(add_help=False, parents=[both])
    all_files.add_argument(
        "--config", type=Path, metavar="FILE", default=config if config.exists() else None,
        help=_text(f"设置文件（默认 {config}，若有）", f"default {config} if it exists"),
    )  # fmt: skip
    _add_provision(subparsers, both)
    _add_reset(subparsers, all_files)


def _text(zh: str, en: str) -> str:
    return say(Words(zh, en))


def _seconds(text: str) -> float:
    """Return seconds; raises ArgumentTypeError."""
    seconds = float(text)
    if not 0 <= seconds <= SECONDS_MAX:
        raise argparse.ArgumentTypeError(
            _text(f"得到 {text}，应为 0 到 {SECONDS_MAX} 秒", f"got {text}, expected 0 to {SECONDS_MAX} seconds")
        )  # fmt: skip
    return seconds


def _add_provision(subparsers: Any, both: argparse.ArgumentParser) -> None:
    parser = subparsers.add_parser(
        "provision", parents=[both],
        help=_text("给机器写入身份文件，看它登记", "give the machine its profile, and see it register"),
    )  # fmt: skip
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help=_text("-：标准输入", "-: standard input")
    )
    source.add_argument(
        "--usb", action="store_true",
        help=_text("U 盘上的 story-agent.profile", "story-agent.profile on a USB stick"),
    )  # fmt: skip
    source.add_argument(
        "--boot", action="store_true",
        help=_text("启动分区上的，写好后在那里擦除", "on the boot partition; it is erased there"),
    )  # fmt: skip
    for option, zh, en in (
        ("--dry-run", "只看会做什么", "show what would be done"),
        ("--yes", "不询问", "do not ask"),
        ("--replace", "替换另一台设备的身份", "over another machine's identity"),
        ("--no-start", "只写入", "only write"),
    ):
        parser.add_argument(option, action="store_true", help=_text(zh, en))
    parser.add_argument(
        "--wait", type=_seconds, default=WAIT_SECONDS, metavar="SECONDS",
        help=_text(f"等待登记的秒数（默认 {WAIT_SECONDS:g}）", f"until it is registered (default {WAIT_SECONDS:g})"),
    )  # fmt: skip
    parser.set_defaults(run=_provision)


def _provision(options: argparse.Namespace) -> int:
    from agent.first.provision import run_provision  # noqa: PLC0415  # see the module's head

    return run_provision(options)


def _add_reset(subparsers: Any, all_files: argparse.ArgumentParser) -> None:
    reset = subparsers.add_parser(
        "factory-reset", parents=[all_files],
        help=_text("擦除家庭留下的一切和身份", "erase everything of the family, and the profile"),
    )  # fmt: skip
    for option, zh, en in (
        ("--keep-profile", "仍是同一台设备", "stay the same device"),
        ("--media", "卡上的故事也擦除", "and the stories on the card"),
        ("--dry-run", "只看会擦除什么", "show what would be erased"),
        ("--yes", "不询问", "do not ask"),
    ):
        reset.add_argument(option, action="store_true", help=_text(zh, en))
    reset.set_defaults(run=_reset)
    first = subparsers.add_parser(
        "first-start", parents=[all_files],
        help=_text("story-agent-import.service 在代理之前做的事", "what story-agent-import.service does before the agent"),
    )  # fmt: skip
    first.set_defaults(
        run=_first_start, file=None, usb=False, boot=True, dry_run=False, yes=True, replace=False,
        no_start=True, wait=0.0,
    )  # fmt: skip


def _reset(options: argparse.Namespace) -> int:
    from agent.first.reset_command import run_reset  # noqa: PLC0415  # see the module's head

    return run_reset(options)


def _first_start(options: argparse.Namespace) -> int:
    from agent.first.reset_command import run_first_start  # noqa: PLC0415  # see the module's head

    return run_first_start(options)
