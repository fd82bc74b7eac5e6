"""A PostgreSQL server for tests and benchmarks: Debian's programs, in a temporary folder.

It listens on no network, runs as an unprivileged user, and leaves no files behind.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tools.processes import BenchError, die_with_parent

USER = "story"
SECURED = "secured"
"""The role that needs a password; all others are trusted on the socket."""
_PROGRAMS = Path("/usr/lib/postgresql")
_START_TIMEOUT = 120.0
_STOP_TIMEOUT = 20.0
_POLL_SECONDS = 0.02
_ACCESS = f"local all {SECURED} scram-sha-256\nlocal all all trust\n"
# The data need not survive a power cut, so commits do not wait for the disk.
_VOLATILE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
_SETTINGS = (
    "listen_addresses=",
    "max_connections=50",
    "shared_buffers=64MB",
    "log_min_messages=fatal",
)


class PostgresServer:
    """One server in one folder; it can be stopped and started again."""

    def __init__(self, folder: Path, user: str | None, settings: tuple[str, ...]) -> None:
        """Create the database cluster.

        Args:
            folder: for the data, the socket and the log; owned by ``user``.
            user: the system user that runs the server; None: the present one.
            settings: ``name=value`` of further server settings.
        """
        self.folder = folder
        self._user = user
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        programs = sorted(_PROGRAMS.glob("*/bin"), key=lambda path: int(path.parent.name))
        if not programs:
            raise BenchError(f"no PostgreSQL in {_PROGRAMS}: make setup installs it")
        self._programs = programs[-1]
        self._run(
            "initdb", "--pgdata", self._data, "--username", USER, "--auth", "trust",
            "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync",
        )  # fmt: skip
        (self._data / "pg_hba.conf").write_text(_ACCESS)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str = "postgres", user: str = USER) -> str:
        """Return the URL of a database, in the form of ``story-cloud --database``."""
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """Open a connection in autocommit mode."""
        return psycopg.connect(self.url(database), autocommit=True)

    def start(self) -> None:
        """Start the server and wait until it answers; raises BenchError."""
        options = [word for each in (*_SETTINGS, *self._settings) for word in ("-c", each)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, "-k", self.folder, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                user=self._user,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509  # one thread here
            )
        deadline = time.monotonic() + _START_TIMEOUT
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                text = (self.folder / "log").read_text()[-500:]
                self.stop()
                raise BenchError(f"PostgreSQL did not start: {text}")
            time.sleep(_POLL_SECONDS)

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT is a fast shutdown, SIGQUIT an immediate one, like a crash."""
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            user=self._user,
            timeout=_START_TIMEOUT,
        )
        if done.returncode != 0:
            raise BenchError(f"{program}: {done.stderr.strip()}")


@contextmanager
def postgresql(*, durable: bool = False) -> Iterator[PostgresServer]:
    """Run a server until the block ends; raises BenchError.

    With ``durable`` commits wait for the disk, as in production.
    """
    # Not below pytest's folder, which other users cannot enter; a socket path must be short.
    folder = Path(tempfile.mkdtemp(prefix="story-pg-"))
    try:
        server = PostgresServer(folder, _unprivileged(folder), () if durable else _VOLATILE)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged(folder: Path) -> str | None:
    """Return the user to run PostgreSQL as, which refuses root, and give it the folder.

    None: the present user.
    """
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = "postgres" if "postgres" in names else "nobody"
    shutil.chown(folder, user)
    return user
