"""The command line's parser: all commands and their options, in both languages.

The daemon's start does without it unless its words are unusual (`agent.run_words`). A command's own module is imported when somebody types it.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from agent.exits import EX_INTERRUPTED
from agent.run_words import DEFAULT_CONFIG, DEFAULT_PROFILE, DEFAULT_STATE, ENV_STATE, find_config
from agent.words import EN, ZH, Words, say
from agent.words.numbers import HOURS, count, number
from agent.words.usage import translate_usage
from base.arguments import Parser

# Of stories that are played to a wake word: a week without an end is a mistake.
HOURS_MIN, HOURS_MAX = 0.001, 168
TAKES = 3, 6, Words("遍", "takes")

Run = Callable[[argparse.Namespace], int]


def run_command(words: Sequence[str], run_agent: Run) -> int:
    """Run the command that ``words`` name, ``run_agent`` for ``run``; return its exit code."""
    translate_usage()
    parser = build_parser(run_agent, daemon_only=words[:1] == ["run"])
    options = parser.parse_args(words, argparse.Namespace(words=list(words)))
    run: Run = options.run
    try:
        return run(options)
    except KeyboardInterrupt:
        return EX_INTERRUPTED


def build_parser(run_agent: Run = id, *, daemon_only: bool = False) -> argparse.ArgumentParser:
    """Return the command line's parser, in the language of this process.

    ``run_agent`` is what ``run`` does; who only looks at the parser need not give it. ``daemon_only`` leaves out all commands but ``run``: they are a twentieth of the daemon's start.
    """
    state = argparse.ArgumentParser(add_help=False)
    state.add_argument(
        "--state", type=Path, metavar="DIR",
        default=Path(os.environ.get(ENV_STATE, DEFAULT_STATE)),
        help=say(Words(
            f"状态文件夹（默认 ${ENV_STATE} 或 {DEFAULT_STATE}）",
            f"state folder (default ${ENV_STATE} or {DEFAULT_STATE})",
        )),
    )  # fmt: skip
    parser: argparse.ArgumentParser = Parser(
        prog="story-agent",
        description=say(Words("故事机的代理程序。", "The agent of a story machine.")),
        epilog=say(Words(
            "退出码：0 完成；1 被拒绝或失败；2 用法错误；78 配置错误。",
            "Exit codes: 0 done; 1 refused or failed; 2 wrong usage; 78 bad configuration.",
        )),
    )  # fmt: skip
    subparsers = parser.add_subparsers(
        dest="command", required=True, metavar=say(Words("命令", "COMMAND"))
    )
    _add_run(subparsers.add_parser(
        "run", parents=[state], help=say(Words("运行代理", "run the agent"))
    ), run_agent)  # fmt: skip
    if not daemon_only:
        _add_others(subparsers, state)
    return parser


def _add_others(subparsers: Any, state: argparse.ArgumentParser) -> None:
    """Add all commands but ``run``, with what they are registered by."""
    from agent import (  # noqa: PLC0415
        bench_command,
        commands,
        inspection,
        lan_command,
        restarting,
        voice_command,
    )
    from agent.first import commands as first_commands  # noqa: PLC0415

    # Not for `run`: its words are handed to other versions, whose log is English as well.
    lang = argparse.ArgumentParser(add_help=False)
    lang.add_argument(
        "--lang", choices=[ZH, EN],
        help=say(Words("语言（默认按 locale）", "the language (default: the locale's)")),
    )  # fmt: skip
    asking = argparse.ArgumentParser(add_help=False, parents=[state, lang])
    _add_sounds(subparsers.add_parser(
        "sounds", parents=[lang],
        help=say(Words("列出或播放机器自己的声音", "list the machine's own sounds, or play one")),
    ))  # fmt: skip
    _add_doctor(subparsers.add_parser(
        "doctor", parents=[asking],
        help=say(Words(
            "检查机器，说出哪里不对、怎么办",
            "examine the machine, and say what is wrong and what to do",
        )),
    ))  # fmt: skip
    _add_wake(subparsers.add_parser(
        "wake", parents=[asking],
        help=say(Words("录制、列出、试用和删除唤醒词", "record, list, try and forget wake words")),
    ))  # fmt: skip
    commands.register(subparsers, asking)
    first_commands.register(subparsers, asking, Path(DEFAULT_PROFILE), Path(DEFAULT_CONFIG))
    restarting.register(subparsers, asking)
    bench_command.register(subparsers, asking)
    lan_command.register(subparsers, asking)
    voice_command.register(subparsers, asking)
    inspection.register(subparsers, asking, Path(DEFAULT_PROFILE), Path(DEFAULT_CONFIG))


def _add_files(parser: argparse.ArgumentParser, *, profile: bool = True) -> None:
    """Add the options that name the files of a machine."""
    if profile:
        parser.add_argument(
            "--profile", type=Path, metavar="FILE", default=Path(DEFAULT_PROFILE),
            help=say(Words(f"身份文件（默认 {DEFAULT_PROFILE}）", f"default {DEFAULT_PROFILE}")),
        )  # fmt: skip
    parser.add_argument(
        "--config", type=Path, metavar="FILE",
        help=say(Words(
            f"设置文件（默认 {DEFAULT_CONFIG}，若有）", f"default {DEFAULT_CONFIG} if it exists"
        )),
    )  # fmt: skip


def _add_run(parser: argparse.ArgumentParser, run_agent: Run) -> None:
    _add_files(parser)
    parser.add_argument("--verbose", action="store_true", help=say(Words("多写日志", "log more")))
    parser.set_defaults(run=run_agent)


def _add_sounds(parser: argparse.ArgumentParser) -> None:
    _add_files(parser, profile=False)
    parser.add_argument(
        "--play", metavar="NAME",
        help=say(Words(
            "按声音服务器的音量播放这一个", "play this one at the sound server's volume"
        )),
    )  # fmt: skip
    parser.set_defaults(run=_sounds)


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    _add_files(parser)
    parser.add_argument(
        "--fix", action="store_true",
        help=say(Words("改正能改正的", "mend what can be mended")),
    )  # fmt: skip
    parser.add_argument(
        "--json", action="store_true", help=say(Words("输出一个 JSON 对象", "as one JSON object"))
    )
    parser.add_argument(
        "--chime", action="store_true",
        help=say(Words("播放一声提示音", "play a chime")),
    )  # fmt: skip
    parser.set_defaults(run=_doctor)


def _add_wake(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["enrol", "list", "card", "test", "forget"])
    parser.add_argument(
        "name", nargs="?", metavar="NAME",
        help=say(Words("唤醒词（enrol、card、forget 用）", "a word's, for enrol, card, forget")),
    )  # fmt: skip
    _add_files(parser, profile=False)
    parser.add_argument(
        "--pinyin", default="",
        help=say(Words('读音："xiao3 gu4 shi4"', 'how it is said: "xiao3 gu4 shi4"')),
    )  # fmt: skip
    parser.add_argument(
        "--takes", type=count(*TAKES), default=4,
        help=say(Words("录几遍（4）", "to record (4)")),
    )  # fmt: skip
    parser.add_argument(
        "--hours", type=number(HOURS_MIN, HOURS_MAX, HOURS), default=0.5,
        help=say(Words(
            "对着它播放几小时故事（0.5）", "of stories to play to it (0.5)"
        )),
    )  # fmt: skip
    parser.add_argument(
        "--wav", type=Path, nargs="+", default=[], metavar="FILE",
        help=say(Words("代替麦克风的录音", "in place of a microphone")),
    )  # fmt: skip
    parser.add_argument(
        "--json", action="store_true",
        help=say(Words("list：输出一个 JSON 对象", "list: as one JSON object")),
    )  # fmt: skip
    parser.set_defaults(run=_wake)


def _wake(options: argparse.Namespace) -> int:
    from agent.voice.wake_command import run_wake  # noqa: PLC0415

    find_config(options)
    return run_wake(options)


def _sounds(options: argparse.Namespace) -> int:
    from agent.sounds import run_sounds  # noqa: PLC0415

    find_config(options)
    return run_sounds(options)


def _doctor(options: argparse.Namespace) -> int:
    from agent.doctor.command import run_doctor  # noqa: PLC0415

    find_config(options)
    return run_doctor(options)
