"""SHA-256 and MD5 of a stream, each computed in its own thread.

hashlib releases the interpreter lock, so on a second core hashing does not slow a download down.
"""

from __future__ import annotations

import hashlib
import queue
import threading

# Chunks that may wait for a hash; this bounds the memory.
QUEUE_LENGTH = 4


class Digests:
    """Hashes chunks in order; `finish` returns the digests, `close` ends the threads."""

    def __init__(self) -> None:
        # The order's hint is an MD5 (device protocol); it never admits a package.
        md5 = hashlib.md5(usedforsecurity=False)
        self._lanes = (_Lane(hashlib.sha256()), _Lane(md5))

    def update(self, chunk: bytes) -> None:
        """Queue ``chunk`` for both hashes; blocks while a queue is full."""
        for lane in self._lanes:
            lane.put(chunk)

    def finish(self) -> tuple[str, str]:
        """Return SHA-256 and MD5 (hex) of all chunks; no chunk may be added afterwards."""
        sha256, md5 = (lane.finish() for lane in self._lanes)
        return sha256, md5

    def close(self) -> None:
        """End the threads; may be called more than once, and after `finish`."""
        for lane in self._lanes:
            lane.finish()


class _Lane:
    """One hash with its thread and queue."""

    def __init__(self, hasher: hashlib._Hash) -> None:
        self._hasher = hasher
        self._chunks: queue.Queue[bytes | None] = queue.Queue(QUEUE_LENGTH)
        self._thread = threading.Thread(target=self._run, name=f"ota-{hasher.name}", daemon=True)
        self._thread.start()

    def put(self, chunk: bytes) -> None:
        self._chunks.put(chunk)  # ends without a timeout: the thread always empties its queue

    def finish(self) -> str:
        if self._thread.is_alive():
            self._chunks.put(None)
            self._thread.join()
        return self._hasher.hexdigest()

    def _run(self) -> None:
        while (chunk := self._chunks.get()) is not None:
            self._hasher.update(chunk)
