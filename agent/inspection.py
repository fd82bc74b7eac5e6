"""The commands that look at a machine whether its agent runs or not, for `agent.cli`: config and diag.

What they need is imported when one of them runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from agent.run_words import has_settings
from agent.words import Words, say


def register(subparsers: Any, asking: argparse.ArgumentParser, profile: Path, config: Path) -> None:
    """Add the commands; ``asking`` has the options that all share, the files are the defaults."""
    files = argparse.ArgumentParser(add_help=False, parents=[asking])
    files.add_argument(
        "--profile", type=Path, metavar="FILE", default=profile,
        help=_text(f"身份文件（默认 {profile}）", f"default {profile}"),
    )  # fmt: skip
    files.add_argument(
        "--config", type=Path, metavar="FILE", default=config if has_settings(config) else None,
        help=_text(f"设置文件（默认 {config}，若有）", f"default {config} if it exists"),
    )  # fmt: skip
    _add_config(subparsers, files)
    _add_diag(subparsers, files)


def _text(zh: str, en: str) -> str:
    return say(Words(zh, en))


def _add_config(subparsers: Any, files: argparse.ArgumentParser) -> None:
    parser = subparsers.add_parser(
        "config", parents=[files],
        help=_text("检查、显示设置，或输出它的 JSON Schema", "check or show the settings, or print their JSON Schema"),
    )  # fmt: skip
    parser.add_argument("action", choices=["check", "show", "schema"])
    parser.add_argument(
        "file", nargs="?", type=Path, metavar="FILE",
        help=_text("要看的设置文件", "the settings file to look at"),
    )  # fmt: skip
    parser.add_argument(
        "--json", action="store_true", help=_text("输出一个 JSON 对象", "as one JSON object")
    )
    parser.set_defaults(run=_config)


def _config(options: argparse.Namespace) -> int:
    from agent.config.command import run_config  # noqa: PLC0415  # see the module's head

    return run_config(options)


def _add_diag(subparsers: Any, files: argparse.ArgumentParser) -> None:
    parser = subparsers.add_parser(
        "diag", parents=[files],
        help=_text("打一个诊断包，不含密钥", "make an archive for whoever helps, without secrets"),
    )  # fmt: skip
    parser.add_argument(
        "file", nargs="?", type=Path, metavar="FILE",
        help=_text("写到哪里；-：标准输出", "where to write it; -: standard output"),
    )  # fmt: skip
    parser.add_argument(
        "--log", type=Path, metavar="FILE",
        help=_text("代替 journal 的日志文件", "a log file in place of the journal"),
    )  # fmt: skip
    parser.set_defaults(run=_diag)


def _diag(options: argparse.Namespace) -> int:
    from agent.diag.command import run_diag  # noqa: PLC0415  # see the module's head

    return run_diag(options)
