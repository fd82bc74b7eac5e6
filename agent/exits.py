"""The exit codes of ``story-agent``; 2, for wrong usage, is argparse's."""

from __future__ import annotations

EX_OK = 0
# Refused or failed.
EX_FAILED = 1
# Bad configuration, as in sysexits(3). The systemd unit restarts the agent even then: the previous
# version, which returns after several failed starts, may accept the configuration.
EX_CONFIG = 78
# The shell's convention for an end by SIGINT (128 + 2).
EX_INTERRUPTED = 130
