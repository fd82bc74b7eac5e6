"""The commands of a machine's first day and its last one with a family, for `agent.cli`.

What they need is imported when one of them runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from agent.words import Words, say
from agent.words.numbers import SECONDS, number

# The longest that a start, a slow Wi-Fi and the link's first tries take together.
WAIT_SECONDS = 60.0
SECONDS_MAX = 3600
# To find a button and press it.
BUTTON_SECONDS = 15.0


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
    _add_provision(subparsers, all_files)
    _add_reset(subparsers, all_files)
    _add_pair(subparsers, all_files)
    _add_selftest(subparsers, all_files)


def _text(zh: str, en: str) -> str:
    return say(Words(zh, en))


def _add_provision(subparsers: Any, all_files: argparse.ArgumentParser) -> None:
    parser = subparsers.add_parser(
        "provision", parents=[all_files],
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
        "--wait", type=number(0, SECONDS_MAX, SECONDS), default=WAIT_SECONDS, metavar="SECONDS",
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


def _add_pair(subparsers: Any, all_files: argparse.ArgumentParser) -> None:
    pair = subparsers.add_parser(
        "pair", parents=[all_files],
        help=_text("显示绑定机器的二维码", "show the QR code by which an app binds the machine"),
    )  # fmt: skip
    how = pair.add_mutually_exclusive_group()
    for option in ("--png", "--svg"):
        how.add_argument(
            option,
            metavar="FILE",
            help=_text("写成图片；-：标准输出", "as a picture; -: standard output"),
        )
    how.add_argument(
        "--json", action="store_true",
        help=_text("App 所需的两个值", "the two values that an app sends"),
    )  # fmt: skip
    pair.set_defaults(run=_pair)


def _pair(options: argparse.Namespace) -> int:
    from agent.first.pair import run_pair  # noqa: PLC0415  # see the module's head

    return run_pair(options)


def _add_selftest(subparsers: Any, all_files: argparse.ArgumentParser) -> None:
    test = subparsers.add_parser(
        "selftest", parents=[all_files],
        help=_text("出厂检查：声音、按键、网络、存储、电池", "a factory's check: sound, buttons, network, storage, battery"),
    )  # fmt: skip
    how = test.add_mutually_exclusive_group()
    how.add_argument(
        "--json", action="store_true", help=_text("输出一个 JSON 对象", "as one JSON object")
    )
    how.add_argument(
        "--label",
        action="store_true",
        help=_text("给标签打印机的一行", "one line for a label printer"),
    )
    test.add_argument(
        "--no-buttons", action="store_true", help=_text("不要求按键", "ask for no buttons")
    )
    test.add_argument("--no-sound", action="store_true", help=_text("不出声", "make no sound"))
    test.add_argument(
        "--button-seconds", type=number(0, SECONDS_MAX, SECONDS), default=BUTTON_SECONDS, metavar="SECONDS",
        help=_text(f"等每个按键的秒数（默认 {BUTTON_SECONDS:g}）", f"for each button (default {BUTTON_SECONDS:g})"),
    )  # fmt: skip
    test.add_argument(
        "--microphone", metavar="NAME",
        help=_text("用这个麦克风，代替 voice.microphone", "this one in place of voice.microphone"),
    )  # fmt: skip
    test.set_defaults(run=_selftest)


def _selftest(options: argparse.Namespace) -> int:
    from agent.first.selftest import run_selftest  # noqa: PLC0415  # see the module's head

    return run_selftest(options)
