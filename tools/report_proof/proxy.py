"""A TCP proxy that aborts each connection after a random number of bytes, in either direction."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading

# Bytes until a cut: TLS and the registration take about 3,000, so some cuts are within them.
CUT_BYTES = (500, 8_000)
_ABORT = struct.pack("ii", 1, 0)


class CuttingProxy:
    """Listens on a free port of loopback; ``cuts`` counts the connections that it has cut."""

    def __init__(
        self,
        host: str,
        port: int,
        chance: random.Random,
        cut_bytes: tuple[int, int] = CUT_BYTES,
    ) -> None:
        """Carry connections to ``host``:``port``, and cut each after as many bytes as ``chance`` says."""
        self._cut_bytes = cut_bytes
        self._target = (host, port)
        self._chance = chance
        self.cuts_on = True
        self.cuts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _address = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self._target, 5)
            except OSError:  # the cloud is dead for now
                near.close()
                continue
            left = [self._chance.randint(*self._cut_bytes) if self.cuts_on else 2**60]
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(*pair, left), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, left: list[int]) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                part = data[: left[0]]
                left[0] -= len(part)
                target.sendall(part)
                if left[0] <= 0:
                    self.cuts += 1
                    for end in (source, target):
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
                    break
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
