"""The command line's client: HTTP over the running agent's Unix socket."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from pathlib import Path

from wire.records import dataclass

# Seconds. `say` waits until the cloud has a minute of voice; the dispatch limits all else to 8 s.
REQUEST_TIMEOUT = 120.0
# Seconds to wait for a place in the socket's queue, and between two looks: the agent lets in all of it at once.
QUEUE_SECONDS, QUEUE_PAUSE = 10.0, 0.02


class AgentUnreachableError(Exception):
    """No agent answers on the socket; the cause is its ``__cause__``.

    Attributes:
        place: the socket.
    """

    def __init__(self, message: str, place: Path | None = None) -> None:
        """Build it from what is said, and the socket."""
        super().__init__(message)
        self.place = place


@dataclass(frozen=True, slots=True)
class LocalAnswer:
    """The agent's answer: an HTTP status and the body."""

    status: int
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace").rstrip("\n")


class LocalClient:
    """Sends requests to the agent that serves a Unix socket."""

    def __init__(self, path: Path, seconds: float = REQUEST_TIMEOUT) -> None:
        """Use the socket ``path``; each request opens a new connection, and its answer is awaited for ``seconds``."""
        self._path = path
        self._seconds = seconds

    def request(self, method: str, target: str, body: bytes = b"") -> LocalAnswer:
        """Send one request and return the answer; raises AgentUnreachableError."""
        connection = _UnixConnection(self._path, self._seconds)
        try:
            # The agent may refuse a long body before it has read all of it.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, target, body=body or None)
            response = connection.getresponse()
            return LocalAnswer(response.status, response.read())
        except (FileNotFoundError, ConnectionRefusedError) as error:
            reason = f"no agent runs on {self._path}: start it, or name its --state folder"
            raise AgentUnreachableError(reason, self._path) from error
        except (OSError, http.client.HTTPException) as error:
            reason = f"the agent on {self._path} does not answer: {error or type(error).__name__}"
            raise AgentUnreachableError(reason, self._path) from error
        finally:
            connection.close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        end = time.monotonic() + QUEUE_SECONDS
        while True:
            try:
                self.sock.connect(str(self._path))
            except BlockingIOError:  # others wait to be let in, more than the socket's queue holds
                if time.monotonic() >= end:
                    raise
                time.sleep(QUEUE_PAUSE)
            else:
                return
