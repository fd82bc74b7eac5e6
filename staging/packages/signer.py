"""Signs a repository with gpg, and makes the key at the first time.

The key has no passphrase: the folder that it lies in is the secret, as with the cloud's other keys
(docs/packages.md). A key of one's own, also on a token, is named by its fingerprint.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from staging.errors import StagingError

OWNER = "Story machine packages"
# A key is made in a second; a token may want a finger.
GPG_SECONDS = 120.0


class Signer:
    """One key of one gpg home."""

    def __init__(self, home: Path, key: str | None = None) -> None:
        """Use ``home``, and in it the key with the fingerprint ``key``; None: the one that is made here."""
        self._home = home
        self._named = home
        self._ended = contextlib.ExitStack()
        self._key = key

    def __enter__(self) -> Self:
        """Make the home and the key, if there are none; raises StagingError."""
        if shutil.which("gpg") is None:
            raise StagingError("there is no gpg here: apt-get install gnupg")
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.ExitStack() as begun:
            # gpg's agent has its socket in the home, and a socket's path has 107 bytes: a short name for a long one.
            short = begun.enter_context(tempfile.TemporaryDirectory(prefix="story-gpg-"))
            self._named = Path(short) / "home"
            self._named.symlink_to(self._home.absolute())
            begun.callback(self._end_agent)
            if self._key is None:
                self._key = self._own() or self._make()
            self._ended = begun.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Let gpg's agent end."""
        self._ended.close()

    def _end_agent(self) -> None:
        """End gpg's agent: it would stay, and hold the key."""
        command = ["gpgconf", "--homedir", str(self._named), "--kill", "gpg-agent"]
        subprocess.run(command, check=False, capture_output=True, timeout=GPG_SECONDS)  # noqa: S603  # fixed words, no shell

    @property
    def fingerprint(self) -> str:
        """The key's fingerprint."""
        return self._key or ""

    def public_key(self) -> bytes:
        """Return the public key in ASCII armour, as ``Signed-By:`` reads it; raises StagingError."""
        exported = self._gpg(["--armor", "--export", self.fingerprint])
        if not exported:
            raise StagingError(f"{self._home}: no key {self.fingerprint}")
        return exported

    def sign_inside(self, text: bytes) -> bytes:
        """Return ``text`` with its signature around it (InRelease); raises StagingError."""
        return self._gpg([*self._signing(), "--clearsign"], text)

    def sign_beside(self, text: bytes) -> bytes:
        """Return the signature of ``text`` alone (Release.gpg); raises StagingError."""
        return self._gpg([*self._signing(), "--armor", "--detach-sign"], text)

    def _signing(self) -> list[str]:
        return ["--local-user", f"{self.fingerprint}!", "--digest-algo", "SHA512"]

    def _own(self) -> str | None:
        listed = self._gpg(["--with-colons", "--list-secret-keys"]).decode("utf-8", "replace")
        rows = [line.split(":") for line in listed.splitlines()]
        return next((row[9] for row in rows if row[0] == "fpr"), None)

    def _make(self) -> str:
        self._gpg(["--passphrase", "", "--quick-generate-key", OWNER, "ed25519", "sign", "never"])
        made = self._own()
        if made is None:
            raise StagingError(f"{self._home}: gpg made no key")
        return made

    def _gpg(self, words: Sequence[str], text: bytes = b"") -> bytes:
        command = ["gpg", "--homedir", str(self._named), "--batch", "--no-tty", "--quiet"]
        command += ["--pinentry-mode", "loopback", *words]
        try:
            done = subprocess.run(  # noqa: S603  # no shell, and the key is one word
                command, input=text, check=False, capture_output=True, timeout=GPG_SECONDS,
                env=os.environ | {"LC_ALL": "C.UTF-8"},
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise StagingError(f"gpg did not finish within {GPG_SECONDS:g} s") from error
        if done.returncode:
            last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no word"])[-1]
            raise StagingError(f"gpg: {last}")
        return done.stdout
