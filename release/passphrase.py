"""Where the passphrase of encrypted keys comes from: a file, the environment, or the terminal."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from base.files import read_given
from release.errors import ReleaseToolError

PASSPHRASE_ENV = "STORY_RELEASE_PASSPHRASE"  # noqa: S105  # a name, not a secret
# OpenSSL's limit, in bytes.
PASSPHRASE_MAX = 1023


@dataclass(frozen=True, slots=True)
class Passphrase:
    """The source of the passphrase for encrypted keys.

    Attributes:
        file: its first line is the passphrase; None: STORY_RELEASE_PASSPHRASE of the environment.
        ask: prompts for a passphrase if neither gives one and a key needs it; None: no prompt.
    """

    file: Path | None = None
    ask: Callable[[str], str] | None = None

    def get(self, what: str = "") -> bytes | None:
        """Return the passphrase, or None if there is none.

        Args:
            what: name of the key that needs it, for the prompt; empty: do not prompt.

        Raises:
            ReleaseToolError: the given value cannot be a passphrase.
            OSError: the file cannot be read.
        """
        if self.file is not None:
            # Read as bytes: the error for an invalid byte shows its position and none of the text.
            data = read_given(self.file).partition(b"\n")[0].rstrip(b"\r")
            if not data:
                raise ReleaseToolError(f"{self.file}: its first line is empty")
            return _checked(data, str(self.file))
        text = os.environ.get(PASSPHRASE_ENV, "")
        if text:
            return _checked(text.encode("utf-8", "surrogateescape"), PASSPHRASE_ENV)
        return self._ask(f"Passphrase of {what}: ") if what else None

    def get_new(self, what: str) -> bytes | None:
        """Return the passphrase for the new key ``what``; None: do not encrypt it.

        On a terminal it is asked for twice.

        Raises:
            ReleaseToolError, OSError: as in `get`; also if the two answers differ.
        """
        found = self.get()
        if found is None:
            found = self._ask(f"New passphrase for {what} (nothing: not encrypted): ")
            if found is not None and found != self._ask("The same again: "):
                raise ReleaseToolError(f"{what}: the two passphrases differ; no key was made")
        return found

    def _ask(self, prompt: str) -> bytes | None:
        if self.ask is None:
            return None
        try:
            text = self.ask(prompt)
        except EOFError as error:
            raise ReleaseToolError("no passphrase was typed") from error
        return _checked(text.encode("utf-8", "surrogateescape"), "the passphrase") if text else None


def _checked(passphrase: bytes, where: str) -> bytes:
    """Return ``passphrase`` if keys can be encrypted with it; the error never shows it."""
    try:
        passphrase.decode()
    except UnicodeDecodeError as error:
        raise ReleaseToolError(f"{where}: not UTF-8 text (byte {error.start})") from None
    if len(passphrase) > PASSPHRASE_MAX:
        reason = f"a passphrase of {len(passphrase)} bytes, expected at most {PASSPHRASE_MAX}"
        raise ReleaseToolError(f"{where}: {reason}")
    return passphrase


def ask_on_terminal() -> Callable[[str], str] | None:
    """Return a prompt function for secrets, or None if stdin is not a terminal."""
    return getpass.getpass if sys.stdin.isatty() else None
