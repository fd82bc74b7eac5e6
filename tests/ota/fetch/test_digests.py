"""SHA-256 and MD5 of a stream, each in its own thread."""

from __future__ import annotations

import hashlib
import threading

import pytest

from ota.fetch.digests import Digests

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
QUEUE_LENGTH = 4


CHUNKS = [bytes([n]) * (1000 + n) for n in range(5 * QUEUE_LENGTH)]


def threads() -> set[str]:
    """Return which threads of digests run; those of orders, of a test before, may run as well."""
    return {thread.name for thread in threading.enumerate()} & {"ota-sha256", "ota-md5"}


@pytest.mark.parametrize("chunks", [[], [b""], CHUNKS])
def test_the_chunks_are_hashed_in_their_order(chunks: list[bytes]) -> None:
    digests = Digests()
    for chunk in chunks:
        digests.update(chunk)
    whole = b"".join(chunks)
    md5 = hashlib.md5(whole, usedforsecurity=False)
    assert digests.finish() == (hashlib.sha256(whole).hexdigest(), md5.hexdigest())
    assert threads() == set()


def test_closing_ends_the_threads_at_any_time() -> None:
    digests = Digests()
    assert threads() == {"ota-sha256", "ota-md5"}
    digests.update(b"part")
    digests.close()
    digests.close()
    assert threads() == set()
    assert digests.finish()[0] == hashlib.sha256(b"part").hexdigest()
