"""Adds ``story-agent bench-helper``; what it runs is loaded when it is called."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from agent.words import Words, say
from agent.words.numbers import port


def register(subparsers: Any, asking: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "bench-helper", aliases=["advise-helper"], parents=[asking],
        help=say(Words(
            "在台架上为测试云制造机器上的故障（不用于安装的服务）",
            "make faults on this machine for a test bench; never beside the installed service",
        )),
    )  # fmt: skip
    parser.add_argument(
        "--token-file", type=Path, required=True, metavar="FILE",
        help=say(Words("口令文件；没有就生成", "the token's file; made if it is not there")),
    )  # fmt: skip
    parser.add_argument("--port", type=port, default=0, metavar="N")
    parser.add_argument(
        "--own-sound", action="store_true",
        help=say(Words(
            "代理的声音服务器（PULSE_SERVER）是台架自己的，可以杀掉",
            "the agent's sound server (PULSE_SERVER) is the bench's own, and may be killed",
        )),
    )  # fmt: skip
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from agent.bench_helper import run_helper  # noqa: PLC0415  # `run` registers commands too, and is quick

    return run_helper(options)
