"""Broken copies of good input, for the fuzzers of the wire formats and of the cloud."""

from __future__ import annotations

import random


def mutate(good: bytes, chance: random.Random) -> bytes:
    """Return a broken copy of ``good``, or random bytes."""
    if chance.random() < 0.05:
        return chance.randbytes(chance.randrange(64))
    data = bytearray(good)
    for _ in range(chance.randrange(1, 5)):
        place = chance.randrange(len(data) + 1)
        match chance.randrange(5):
            case 0 if data:
                data[place % len(data)] ^= 1 << chance.randrange(8)
            case 1:
                data[place:place] = chance.randbytes(chance.randrange(1, 5))
            case 2:
                del data[place : place + chance.randrange(1, 9)]
            case 3:
                data[place:place] = data[place // 2 : place]
            case _:
                del data[place:]
    return bytes(data)
