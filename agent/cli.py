"""The command line: ``story-agent run`` is the daemon, the other commands send it requests.

``run`` first switches to the release that an update has activated, before it imports anything
large. So this module, and what it imports at its head, needs only the standard library, and little
of that (docs/launcher.md). The other commands are in `agent.parser`, for whoever types one.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.exits import EX_INTERRUPTED
from agent.last_words import last_words
from agent.run_words import DEFAULT_CONFIG, find_config, read_run
from agent.words import Words, say, speaking
from base.printing import run_printing
from ota.launch.launch import ENV_SLOT, enter_active_release, restart


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code: 0 done, 1 refused or failed, 78 bad configuration."""
    words = list(sys.argv[1:] if argv is None else argv)
    with speaking(words):
        return run_printing("story-agent", lambda: _run_command(words), _not_printed)


def _not_printed(error: OSError) -> str:
    """Say why the output was not taken: it may be anywhere, and seldom on the machine's card."""
    why = error.strerror or str(error)
    return say(Words(f"输出写不出去：{why}", f"the output could not be written: {why}"))


def _run_command(words: list[str]) -> int:
    if (options := read_run(words, os.environ)) is None:
        from agent.parser import run_command  # noqa: PLC0415  # argparse is not for the daemon's start

        return run_command(words, _run)
    try:
        return _run(options)
    except KeyboardInterrupt:
        return EX_INTERRUPTED


def _run(options: Any) -> int:
    # `RunOptions`, or the parser's with the same names.
    # Until the agent reloads its settings at it: a terminal that closes does not end a machine.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    enter_active_release(options.state, options.words, options.config or Path(DEFAULT_CONFIG))
    # From here on this process runs the active version.
    # The start creates what stays; looking through it for garbage is a twentieth of its time.
    # `agent.app` switches the collector on again.
    gc.disable()
    with last_words(options.state):
        _leave_dying_image(options.state)
        from agent.daemon import run_daemon  # noqa: PLC0415

        find_config(options)
        code, wants_restart = run_daemon(options)
    if wants_restart:
        restart(options.words)
    return code


def _leave_dying_image(state: Path) -> None:
    """On a machine with images, do what the launcher does for releases.

    A folder that cannot be read is no reason not to start: the agent says what is wrong with it.
    """
    if os.access(state / "ota" / "rauc.json", os.F_OK):
        from agent.updates.leaving import leave_dying_image  # noqa: PLC0415  # not where releases are
        from ota.launch.running import running_version  # noqa: PLC0415

        if not os.environ.get(ENV_SLOT):
            with contextlib.suppress(OSError):
                leave_dying_image(state, running_version())


if __name__ == "__main__":
    sys.exit(main())
