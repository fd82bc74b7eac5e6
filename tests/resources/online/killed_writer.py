"""A process of a test: keeps stories until it is killed; prints a line for each piece."""

from __future__ import annotations

import sys
from pathlib import Path

import resources.online.cache
from resources.online.cache import Cache

SIZE = 400_000


def body(number: int) -> bytes:
    """Return the bytes of one of its stories."""
    return bytes((number + place) % 251 for place in range(SIZE))


def main() -> None:
    resources.online.cache.SYNC_STEP = 50_000
    cache = Cache(Path(sys.argv[1]), 3 * SIZE, free_floor=0)
    for number in range(1_000_000):
        kept = cache.begin(f"key{number % 5}", SIZE, "", f'"{number % 5}"')
        assert kept is not None
        story = body(number % 5)
        for at in range(0, SIZE, 10_000):
            kept.write(at, story[at : at + 10_000])
            sys.stdout.write(f"{number} {at}\n")
            sys.stdout.flush()
        kept.close()


if __name__ == "__main__":
    main()
