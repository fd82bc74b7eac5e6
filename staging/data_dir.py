"""The data directory: which files it has, the server's addresses, and locks between processes."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from base.files import make_folder, write_atomically
from staging.errors import StagingError
from wire.errors import WireError
from wire.fields import get_int, get_string, parse_object

SECRET_MODE = 0o600
PUBLIC_MODE = 0o644
# Longer than a Raspberry Pi takes to create a repository's keys; by then the holder is stuck.
LOCK_TIMEOUT = 60.0
_LOCK_POLL = 0.05


@dataclass(frozen=True, slots=True)
class DataDir:
    """The files of one staging cloud (docs/staging.md, "What is stored where")."""

    root: Path

    def free_bytes(self) -> int:
        """Return the room that is left on the folder's disk; raises OSError."""
        return shutil.disk_usage(self.root).free

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.root / "cloud.sqlite"

    @property
    def ca(self) -> Path:
        """The folder of the CA and the server certificate."""
        return self.root / "ca"

    @property
    def tuf(self) -> Path:
        """The TUF repository that is served under ``/tuf``."""
        return self.root / "tuf"

    @property
    def tuf_keys(self) -> Path:
        """The signing keys of the TUF repository; never served."""
        return self.root / "tuf-keys"

    @property
    def tuf_root(self) -> Path:
        """The TUF root that ships with the agent."""
        return self.tuf / "metadata" / "1.root.json"

    @property
    def endpoints(self) -> Path:
        """The file to which the running server writes its addresses."""
        return self.root / "endpoints.json"

    @property
    def clock(self) -> Path:
        """The last time that the server believed its clock."""
        return self.root / "clock.json"

    @property
    def made(self) -> Path:
        """The stores that the folder has had, one a line: one that is gone is missed."""
        return self.root / ".store-made"

    @property
    def unpacked(self) -> Path:
        """Where a restoring unpacks a backup; only one that was killed leaves it."""
        return self.root / ".restoring"

    @property
    def restoring(self) -> Path:
        """The note of a restoring that has begun to put things in their place; after its end there is none."""
        return self.root / ".restore-unfinished"

    def create(self) -> DataDir:
        """Create the folder, without access for other users; raises StagingError."""
        try:
            make_folder(self.root, mode=0o700)
        except OSError as error:
            raise StagingError(f"--data {self.root}: {error.strerror}") from error
        return self


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The server's addresses: the API's URL, and the gateway's host and port."""

    api: str
    device_host: str
    device_port: int
    mqtt_port: int = 0
    """The broker's port for devices; 0: there is no broker."""
    packages: str = ""
    """The URL below which devices fetch packages; "": the API's."""

    @property
    def device(self) -> str:
        """The device gateway as ``host:port``."""
        host = f"[{self.device_host}]" if ":" in self.device_host else self.device_host
        return f"{host}:{self.device_port}"


def write_endpoints(data: DataDir, endpoints: Endpoints) -> None:
    """Write the server's addresses for the commands."""
    value = {
        "api": endpoints.api,
        "deviceHost": endpoints.device_host,
        "devicePort": endpoints.device_port,
        "mqttPort": endpoints.mqtt_port,
        "packages": endpoints.packages,
    }
    write_atomically(data.endpoints, json.dumps(value).encode(), mode=PUBLIC_MODE)


def read_endpoints(data: DataDir) -> Endpoints | None:
    """Return the addresses of the last server run, or None if none ran; raises StagingError."""
    try:
        source = parse_object(data.endpoints.read_bytes(), str(data.endpoints))
        port = source.get("devicePort")
        if not isinstance(port, int):
            raise StagingError(f"{data.endpoints}: devicePort: got {port!r}, expected a port")
        mqtt_port = get_int(source, "mqttPort") if "mqttPort" in source else 0
        api, host = get_string(source, "api"), get_string(source, "deviceHost")
        packages = get_string(source, "packages", empty=True) if "packages" in source else ""
        return Endpoints(api, host, port, mqtt_port, packages)
    except FileNotFoundError:
        return None
    except (OSError, WireError) as error:
        raise StagingError(f"{data.endpoints}: {error}") from error


@contextmanager
def locked(path: Path, what: str, timeout: float = LOCK_TIMEOUT) -> Iterator[None]:
    """Hold a lock on a file or a folder against other processes; it ends with its process.

    A file is made if there is none. On a disk that is read-only there is then no lock, since nobody changes what is there.

    Raises:
        StagingError: another process held it for ``timeout`` seconds; ``what`` is the message.
    """
    handle = _open_lock(path)
    if handle is None:
        yield
        return
    try:
        deadline = time.monotonic() + timeout
        while not _try_lock(handle):
            if time.monotonic() >= deadline:
                raise StagingError(f"{path.parent}: {what}")
            time.sleep(_LOCK_POLL)
        yield
    finally:
        os.close(handle)


def _open_lock(path: Path) -> int | None:
    """Return the open file, None if a read-only disk does not let it be made."""
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
    try:
        return os.open(path, flags | os.O_CLOEXEC, SECRET_MODE)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC) if path.exists() else None


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
