"""Which folders are around a title, and what a file on the card says of the titles in them.

A card is filled on a computer: a text file in a folder is what everybody can write there.
"""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path

from resources.playing.queue import Queue, Track
from resources.playing.resume import Policy

# A file of this name in a folder holds the policy of the titles in and below it: story or song.
POLICY_FILE = "resume.txt"
# Characters that are read of it.
_LONGEST = 32


def around(key: str) -> list[str]:
    """Return a title's key and those of the folders around it, the nearest first; "/" is the last."""
    parts = key.split("/")[:-1]
    return [key, *("/".join(parts[:count]) + "/" for count in range(len(parts), 0, -1)), "/"]


def folder_of(queue: Queue) -> str:
    """Return the key of the folder in which all titles of a queue are."""
    common = queue.tracks[0].key.split("/")[:-1] if queue.tracks else []
    for track in queue.tracks:
        pairs = zip(common, track.key.split("/")[:-1], strict=False)
        common = [part for part, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)]
        if not common:
            break
    return "/".join(common) + "/"


def policy_in_file(track: Track) -> Policy | None:
    """Return the policy in the nearest file `POLICY_FILE` in and above a title's folder."""
    if not (track.is_file and track.key and track.source.endswith(track.key)):
        return None
    root = Path(track.source.removesuffix(track.key))
    for folder in around(track.key)[1:]:
        try:
            with (root / folder.strip("/") / POLICY_FILE).open(encoding="utf-8-sig") as file:
                word = file.read(_LONGEST).strip().lower()
        except (OSError, ValueError):
            continue
        if word in set(Policy):
            return Policy(word)
    return None
