"""A machine's first day and its last one with a family: set-up mode, provisioning, pairing, self-test, factory reset."""

from pathlib import Path

WISH_NAME = "factory-reset.json"
"""The file in the state folder that stands for a factory reset which is not finished (`agent.first.reset`)."""

NOTE_NAME = "import.json"
"""The file in the state folder that tells what became of a profile on the boot partition (`agent.first.import_note`)."""


def is_reset_wished(state: Path) -> bool:
    """Return whether a reset was begun and not finished; False also where that may not be looked at."""
    try:
        return (state / WISH_NAME).exists()
    except OSError:
        return False
