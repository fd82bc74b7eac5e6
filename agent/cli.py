"""The command line: ``story-agent run`` is the daemon, the other commands send it requests.

``run`` first switches to the release that an update has activated, before it imports anything
large. So this module imports only the standard library, `ota.launch.launch` and `last_words` at its head.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from agent.last_words import last_words
from ota.launch.launch import enter_active_release, restart

DEFAULT_STATE = "/var/lib/story-agent"
DEFAULT_PROFILE = "/etc/story-agent/profile.json"
DEFAULT_CONFIG = "/etc/story-agent/agent.toml"
ENV_STATE = "STORY_AGENT_STATE"
# sysexits(3). The systemd unit restarts the agent even after 78: the previous version, which
# returns after several failed starts, may accept the configuration.
EX_OK, EX_FAILED, EX_CONFIG = 0, 1, 78
# The shell's convention for an end by SIGINT (128 + 2).
EX_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code: 0 done, 1 refused or failed, 78 bad configuration."""
    words = list(sys.argv[1:] if argv is None else argv)
    options = _parser().parse_args(words)
    try:
        if options.command == "run":
            return _run(options, words)
        code = _ask(options)
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
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", parents=[state], help="run the agent")
    run.add_argument("--profile", type=Path, metavar="FILE", default=Path(DEFAULT_PROFILE))
    run.add_argument(
        "--config", type=Path, metavar="FILE", help=f"default {DEFAULT_CONFIG} if it exists"
    )
    run.add_argument("--verbose", action="store_true", help="log more")
    status = commands.add_parser("status", parents=[state], help="show the running agent's state")
    status.add_argument("--json", action="store_true", help="as one JSON object")
    get = commands.add_parser("get", parents=[state], help="read a data point")
    get.add_argument("name", metavar="NAME")
    put = commands.add_parser("set", parents=[state], help="set a data point")
    put.add_argument("name", metavar="NAME")
    put.add_argument("value", metavar="VALUE")
    say = commands.add_parser("say", parents=[state], help="send a WAV file as an utterance")
    say.add_argument("file", type=Path, metavar="FILE.wav")
    update = commands.add_parser(
        "update", parents=[state], help="show the last update, or cancel it"
    )
    update.add_argument("action", nargs="?", choices=["show", "cancel"], default="show")
    update.add_argument("--json", action="store_true", help="as one JSON object")
    return parser


def _run(options: argparse.Namespace, words: Sequence[str]) -> int:
    enter_active_release(options.state, words)
    # From here on this process runs the active version.
    with last_words(options.state):
        from agent.daemon import run_daemon  # noqa: PLC0415

        code, wants_restart = run_daemon(options)
    if wants_restart:
        restart(words)
    return code


def _ask(options: argparse.Namespace) -> int:
    from agent.commands import ask  # noqa: PLC0415

    return ask(options)


if __name__ == "__main__":
    sys.exit(main())
