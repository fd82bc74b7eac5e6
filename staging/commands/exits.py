"""The exit codes of ``story-cloud``; argparse itself exits with 2 for a wrong command line."""

from __future__ import annotations

from typing import Final

DONE: Final = 0
# One line on stderr names the reason.
FAILED: Final = 1
# 128 + SIGINT, as a shell reports a program that Ctrl-C ended.
INTERRUPTED: Final = 130
