"""Where a machine's stories may lie: in a folder of their own, which is neither the agent's nor around it.

Where they lie among the agent's own files, only their names tell them from what a family has left.
"""

from __future__ import annotations

import os
from pathlib import Path

OWN_FOLDERS = frozenset({"lan", "ota", "player", "slots", "stories", "wake"})
"""What the agent makes in its state folder; tests/agent/test_media_place.py looks for others."""


def is_around(state: Path, media: Path) -> bool:
    """Return whether ``media``, relative to the state folder or absolute, is the state folder or contains it."""
    own, found = _real(state), _real(state / media)
    return found == own or found in own.parents


def own_folder_around(state: Path, media: Path) -> str | None:
    """Return which of the agent's own folders has ``media`` in it, None if none has."""
    own, found = _real(state), _real(state / media)
    if own not in found.parents:
        return None
    first = found.relative_to(own).parts[0]
    return first if first in OWN_FOLDERS else None


def _real(path: Path) -> Path:
    """Return a path without links; unlike `Path.resolve` it takes links in a circle as they are."""
    return Path(os.path.realpath(path))
