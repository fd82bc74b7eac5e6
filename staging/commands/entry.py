"""Where ``story-cloud`` begins: Ctrl-C while its modules are still read, for seconds on a small machine, ends it without a traceback."""

from __future__ import annotations

from staging.commands.exits import INTERRUPTED


def main() -> int:
    """Run one command; return its exit code."""
    try:
        from staging.commands.cli import main as run  # what it imports takes its time

        return run()
    except KeyboardInterrupt:
        return INTERRUPTED
