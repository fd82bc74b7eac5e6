"""The command line: ``story-agent run`` is the daemon, the other commands send it requests.

``run`` first switches to the release that an update has activated, before it imports anything
large. So this module, and what it imports at its head, needs only the standard library, and little
of that (docs/launcher.md).
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from agent import commands
from agent.exits import EX_FAILED, EX_INTERRUPTED
from agent.last_words import last_words
from ota.launch.launch import enter_active_release, restart

DEFAULT_STATE = "/var/lib/story-agent"
DEFAULT_PROFILE = "/etc/story-agent/profile.json"
DEFAULT_CONFIG = "/etc/story-agent/agent.toml"
# Of stories that are played to a wake word: a week without an end is a mistake.
HOURS_MAX = 168
ENV_STATE = "STORY_AGENT_STATE"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code: 0 done, 1 refused or failed, 78 bad configuration."""
    words = list(sys.argv[1:] if argv is None else argv)
    options = _parser().parse_args(words, argparse.Namespace(words=words))
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        code = run(options)
        # Flush here: an error at the interpreter's exit would print a traceback.
        sys.stdout.flush()
    except KeyboardInterrupt:
        return EX_INTERRUPTED
    except BrokenPipeError:
        # The reader has closed the pipe (`status | head`). Avoid a second error at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EX_FAILED
    return code


def _parser() -> argparse.ArgumentParser:
    state = argparse.ArgumentParser(add_help=False)
    state.add_argument(
        "--state", type=Path, metavar="DIR",
        default=Path(os.environ.get(ENV_STATE, DEFAULT_STATE)),
        help=f"state folder (default ${ENV_STATE} or {DEFAULT_STATE})",
    )  # fmt: skip
    parser = argparse.ArgumentParser(
        prog="story-agent", description="The agent of a story machine.",
        epilog="Exit codes: 0 done; 1 refused or failed; 2 wrong usage; 78 bad configuration.",
    )  # fmt: skip
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = subparsers.add_parser("run", parents=[state], help="run the agent")
    run.add_argument("--profile", type=Path, metavar="FILE", default=Path(DEFAULT_PROFILE))
    config = run.add_argument(
        "--config", type=Path, metavar="FILE", help=f"default {DEFAULT_CONFIG} if it exists"
    )
    run.add_argument("--verbose", action="store_true", help="log more")
    run.set_defaults(run=_run)
    sounds = subparsers.add_parser("sounds", help="list the machine's own sounds, or play one")
    sounds.add_argument("--config", type=Path, metavar="FILE", help=config.help)
    sounds.add_argument("--play", metavar="NAME", help="play this one at the sound server's volume")
    sounds.set_defaults(run=_sounds)
    doctor = subparsers.add_parser(
        "doctor", parents=[state], help="examine the machine, and say what is wrong and what to do"
    )
    doctor.add_argument("--profile", type=Path, metavar="FILE", default=Path(DEFAULT_PROFILE))
    doctor.add_argument("--config", type=Path, metavar="FILE", help=config.help)
    doctor.add_argument("--fix", action="store_true", help="mend what can be mended")
    doctor.add_argument("--json", action="store_true", help="as one JSON object")
    doctor.set_defaults(run=_doctor)
    _add_wake(
        subparsers.add_parser(
            "wake", parents=[state], help="record, list, try and forget wake words"
        )
    )
    commands.register(subparsers, state)
    return parser


def _hours(text: str) -> float:
    """Return hours; raises ValueError, which argparse tells."""
    hours = float(text)
    if not 0 < hours <= HOURS_MAX:
        reason = f"got {text}, expected more than 0 and at most {HOURS_MAX}"
        raise argparse.ArgumentTypeError(reason)
    return hours


def _add_wake(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["enrol", "list", "card", "test", "forget"])
    parser.add_argument("name", nargs="?", metavar="NAME", help="a word's, for enrol, card, forget")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help=f"default {DEFAULT_CONFIG} if it exists"
    )
    parser.add_argument("--pinyin", default="", help='how it is said: "xiao3 gu4 shi4"')
    parser.add_argument("--takes", type=int, choices=range(3, 7), default=4, help="to record (4)")
    parser.add_argument("--hours", type=_hours, default=0.5, help="of stories to play to it (0.5)")
    parser.add_argument(
        "--wav", type=Path, nargs="+", default=[], metavar="FILE", help="in place of a microphone"
    )
    parser.add_argument("--json", action="store_true", help="list: as one JSON object")
    parser.set_defaults(run=_wake)


def _run(options: argparse.Namespace) -> int:
    # Settings are read at a restart; a terminal that closes, or a habit, does not end a machine.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    enter_active_release(options.state, options.words)
    # From here on this process runs the active version.
    # The start creates what stays; looking through it for garbage is a twentieth of its time.
    # `agent.app` switches the collector on again.
    gc.disable()
    with last_words(options.state):
        from agent.daemon import run_daemon  # noqa: PLC0415

        _find_config(options)
        code, wants_restart = run_daemon(options)
    if wants_restart:
        restart(options.words)
    return code


def _wake(options: argparse.Namespace) -> int:
    from agent.voice.wake_command import run_wake  # noqa: PLC0415

    _find_config(options)
    return run_wake(options)


def _sounds(options: argparse.Namespace) -> int:
    from agent.sounds import run_sounds  # noqa: PLC0415

    _find_config(options)
    return run_sounds(options)


def _doctor(options: argparse.Namespace) -> int:
    from agent.doctor.command import run_doctor  # noqa: PLC0415

    _find_config(options)
    return run_doctor(options)


def _find_config(options: argparse.Namespace) -> None:
    if options.config is None and Path(DEFAULT_CONFIG).exists():
        options.config = Path(DEFAULT_CONFIG)


if __name__ == "__main__":
    sys.exit(main())
