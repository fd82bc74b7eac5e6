"""Where ``story-fleet`` begins: Ctrl-C while its modules are still read, for seconds on a small machine, ends it without a traceback."""

from __future__ import annotations

# 128 + SIGINT, as a shell reports a program that Ctrl-C ended.
INTERRUPTED = 130


def main() -> int:
    """Run one command; return its exit code."""
    try:
        from staging.fleet.cli import main as run  # noqa: PLC0415  # what it imports takes its time

        return run()
    except KeyboardInterrupt:
        return INTERRUPTED
