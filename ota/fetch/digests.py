"""SHA-256 and MD5 of a stream, each computed in a thread beside the reader's.

hashlib lets go of the interpreter lock, so hashing costs a download no time on a second core.
"""

from __future__ import annotations

import hashlib
import queue
import threading

# Chunks that may wait for a hash; bounds the memory to this many reads.
QUEUE_LENGTH = 4


class Digests:
    """Takes chunks in order and gives the digests at the end; close it when it is not needed."""

    def __init__(self) -> None:
        """Start the threads."""
        # MD5 is the order's own choice of hint; it admits nothing.
        md5 = hashlib.md5(usedforsecurity=False)
        self._lanes = (_Lane(hashlib.sha256()), _Lane(md5))

    def update(self, chunk: bytes) -> None:
        """Hash ``chunk``; waits while a hash is behind by a full queue."""
        for lane in self._lanes:
            lane.put(chunk)

    def finish(self) -> tuple[str, str]:
        """Return SHA-256 and MD5 (hex) of all chunks; nothing may be added after."""
        sha256, md5 = (lane.finish() for lane in self._lanes)
        return sha256, md5

    def close(self) -> None:
        """End the threads; may be called again, and after `finish`."""
        for lane in self._lanes:
            lane.finish()


class _Lane:
    """One hash, its thread and the queue between."""

    def __init__(self, hasher: hashlib._Hash) -> None:
        self._hasher = hasher
        self._chunks: queue.Queue[bytes | None] = queue.Queue(QUEUE_LENGTH)
        self._thread = threading.Thread(target=self._run, name=f"ota-{hasher.name}", daemon=True)
        self._thread.start()

    def put(self, chunk: bytes) -> None:
        self._chunks.put(chunk)  # the lane always empties its queue: this wait ends

    def finish(self) -> str:
        if self._thread.is_alive():
            self._chunks.put(None)
            self._thread.join()
        return self._hasher.hexdigest()

    def _run(self) -> None:
        while (chunk := self._chunks.get()) is not None:
            self._hasher.update(chunk)
