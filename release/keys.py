"""Signing keys in a folder: PEM files, encrypted where a passphrase is given, and tokens (PKCS#11).

One folder is one person's stick, or the online machine's. A key is found by its id and not by its
file's name, so files may be moved and named as people like. ``NAME.pem`` is a private key,
``NAME.token.json`` says where a key lives that never leaves its token.
"""

from __future__ import annotations

import getpass
import itertools
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from base.files import make_folder, write_atomically
from ota.install.package import PRODUCT_PATTERN
from release.tuf_types import CryptoSigner, HSMSigner, Key, Signer, SSlibKey
from wire.errors import FieldError

# Names, no secrets (S105 thinks otherwise).
PASSPHRASE_ENV = "STORY_RELEASE_PASSPHRASE"  # noqa: S105
PIN_ENV = "STORY_RELEASE_PIN"
TOKEN_SUFFIX = ".token.json"  # noqa: S105
PUBLIC_SUFFIX = ".pub.pem"
# OpenSSL's limit, in bytes.
PASSPHRASE_MAX = 1023


class ReleaseToolError(Exception):
    """The release tool cannot do what it was asked; the message is for the person who asked."""


@dataclass(frozen=True, slots=True)
class Passphrase:
    """Where the passphrase of encrypted keys comes from.

    Attributes:
        file: its first line is the passphrase; None: the environment's STORY_RELEASE_PASSPHRASE.
        ask: ask on the terminal if neither gives one and a key needs it.
    """

    file: Path | None = None
    ask: Callable[[str], str] | None = None

    def get(self, what: str = "") -> bytes | None:
        """Return it; None when there is none. ``what`` needs it: then it may be asked for.

        Raises:
            ReleaseToolError: what was given can be no passphrase.
            OSError: the file cannot be read.
        """
        if self.file is not None:
            # One odd byte is told of by its place, never by what stands around it.
            data = self.file.read_bytes().partition(b"\n")[0].rstrip(b"\r")
            if not data:
                raise ReleaseToolError(f"{self.file}: its first line is empty")
            return _checked(data, str(self.file))
        text = os.environ.get(PASSPHRASE_ENV, "")
        if text:
            return _checked(text.encode("utf-8", "surrogateescape"), PASSPHRASE_ENV)
        return self._ask(f"Passphrase of {what}: ") if what else None

    def get_new(self, what: str) -> bytes | None:
        """Return what encrypts the new key ``what``; asked for twice; None: it is not encrypted.

        Raises:
            ReleaseToolError, OSError: as `get`; also when the two answers differ.
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
    """Return a passphrase that keys can be encrypted with; the error never shows it."""
    try:
        passphrase.decode()
    except UnicodeDecodeError as error:
        raise ReleaseToolError(f"{where}: not UTF-8 text (byte {error.start})") from None
    if len(passphrase) > PASSPHRASE_MAX:
        reason = f"a passphrase of {len(passphrase)} bytes, expected at most {PASSPHRASE_MAX}"
        raise ReleaseToolError(f"{where}: {reason}")
    return passphrase


def ask_on_terminal() -> Callable[[str], str] | None:
    """Return what asks for a secret, None when nobody sits at a terminal."""
    return getpass.getpass if sys.stdin.isatty() else None


class KeyRing:
    """The keys of one folder."""

    def __init__(self, folder: Path, passphrase: Passphrase | None = None) -> None:
        """Use ``folder``; new keys are encrypted when ``passphrase`` gives one."""
        self.folder = folder
        self._passphrase = passphrase or Passphrase()
        self._signers: dict[str, Signer] | None = None
        self._opened: dict[Path, Signer] = {}
        self._password: bytes | None = None
        self._asked = False

    def make(self, name: str) -> Key:
        """Make an ed25519 key NAME.pem, or take the one that an earlier attempt made.

        Raises:
            ReleaseToolError: the passphrase cannot be, or does not open that one.
            WireError: ``name`` is none for a key.
            OSError: it cannot be written.
        """
        path = self.folder / f"{_check_name(name)}.pem"
        if not path.exists():
            password = self._new_password(path.name)
            if not self.folder.exists():
                make_folder(self.folder)
                self.folder.chmod(0o700)
            scheme: KeySerializationEncryption = (
                BestAvailableEncryption(password) if password else NoEncryption()
            )
            data = Ed25519PrivateKey.generate().private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, scheme
            )
            write_atomically(path, data, mode=0o600)
            self._opened[path] = _load(path, data, password)
        signer = self._open(path)
        if self._signers is not None:
            self._signers[signer.public_key.keyid] = signer
        return signer.public_key

    def _new_password(self, what: str) -> bytes | None:
        """Return what encrypts new keys; asked for once, however many are made."""
        if not self._asked:
            self._password, self._asked = self._passphrase.get_new(what), True
        return self._password

    def make_more(self, role: str, count: int) -> list[Key]:
        """Make ``count`` more keys for ``role``, each in a file of its own; none if one cannot be read.

        Raises:
            ReleaseToolError, WireError, OSError: as `signers` and `make`.
        """
        if self.folder.is_dir():
            self.signers()  # what could not sign would stop the command after the keys are made
        return [self.make(self.free_name(role)) for _number in range(count)]

    def free_name(self, role: str) -> str:
        """Return a name for one more key of ``role`` that no file has yet."""
        names = itertools.chain([role], (f"{role}-{number}" for number in itertools.count(2)))
        suffixes = (".pem", PUBLIC_SUFFIX, TOKEN_SUFFIX)
        return next(
            name
            for name in names
            if not any((self.folder / f"{name}{suffix}").exists() for suffix in suffixes)
        )

    def adopt_token(self, name: str, label: str, key_id: int) -> Key:
        """Note a key that lives on the PKCS#11 token ``label``; raises ReleaseToolError, WireError."""
        _check_name(name)
        try:
            uri, key = HSMSigner.import_(key_id, label)
        except Exception as error:  # its libraries raise what they like; a person reads the line
            raise ReleaseToolError(f"token {label}: {error or type(error).__name__}") from error
        record = {"uri": uri, "keyid": key.keyid, "key": key.to_dict()}
        make_folder(self.folder)
        path = self.folder / f"{name}{TOKEN_SUFFIX}"
        write_atomically(path, json.dumps(record, indent=1).encode(), mode=0o600)
        self._signers = None
        return key

    def signers(self) -> dict[str, Signer]:
        """Return what can sign here, by key id.

        Raises:
            ReleaseToolError: a file is no key, can be read by others, or needs another passphrase.
        """
        if self._signers is None:
            if not self.folder.is_dir():
                raise ReleaseToolError(f"{self.folder}: no such keys")
            opened = [self._open(path) for path in sorted(self.folder.glob("*.pem"))
                      if not path.name.endswith(PUBLIC_SUFFIX)]  # fmt: skip
            tokens = [_token(path) for path in sorted(self.folder.glob(f"*{TOKEN_SUFFIX}"))]
            self._signers = {signer.public_key.keyid: signer for signer in [*opened, *tokens]}
        return self._signers

    def _open(self, path: Path) -> Signer:
        if path.stat().st_mode & 0o077:
            raise ReleaseToolError(f"{path}: others can read this key; chmod 600 it")
        if path not in self._opened:
            data = path.read_bytes()
            # Asking for a passphrase that nothing needs would be odd.
            password = self._passphrase.get(path.name) if _is_encrypted(data) else None
            self._opened[path] = _load(path, data, password)
        return self._opened[path]


def _is_encrypted(data: bytes) -> bool:
    return b"ENCRYPTED" in data  # PKCS#8's own words for it


def _load(path: Path, data: bytes, password: bytes | None) -> Signer:
    """Read the private key that ``path`` holds; raises ReleaseToolError."""
    encrypted = _is_encrypted(data)
    if encrypted and password is None:
        raise ReleaseToolError(f"{path}: is encrypted; give --passphrase-file or {PASSPHRASE_ENV}")
    try:
        return CryptoSigner(load_pem_private_key(data, password))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        reason = "wrong passphrase, or damaged" if encrypted else "not a PEM private key"
        raise ReleaseToolError(f"{path}: {reason}") from error


def _check_name(name: str) -> str:
    """Return ``name`` if it can name a key's files; raises FieldError."""
    public = f"{name}.pem".endswith(PUBLIC_SUFFIX)  # would be taken for a public key
    if public or not PRODUCT_PATTERN.fullmatch(name):
        expected = 'letters, digits, dots, dashes; at most 64 characters, not ending in ".pub"'
        raise FieldError("key name", name, expected)
    return name


def _token(path: Path) -> Signer:
    try:
        record: dict[str, Any] = json.loads(path.read_bytes())
        key = SSlibKey.from_dict(record["keyid"], record["key"])
        uri = record["uri"]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ReleaseToolError(f"{path}: not what `key new --token` writes") from error
    try:
        return HSMSigner.from_priv_key_uri(uri, key, _pin)
    except Exception as error:  # the libraries raise what they like; a person reads the line
        raise ReleaseToolError(f"{path}: {error or type(error).__name__}") from error


def _pin(_what: str) -> str:
    ask = ask_on_terminal()
    pin = os.environ.get(PIN_ENV) or (ask("PIN of the token: ") if ask else "")
    if not pin:
        raise ReleaseToolError(f"the token needs a PIN; give {PIN_ENV}")
    return pin


def read_public_key(path: Path) -> Key:
    """Read somebody else's public key (PEM); raises ReleaseToolError."""
    try:
        return SSlibKey.from_crypto(load_pem_public_key(path.read_bytes()))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ReleaseToolError(f"{path}: not a PEM public key") from error


def write_public_key(path: Path, key: Key) -> None:
    """Write a public key as PEM, for whoever keeps the repository."""
    public = str(key.keyval["public"])
    if key.keytype == "ed25519":  # TUF writes the bare 32 bytes, in hex
        raw = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
        public = raw.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    write_atomically(path, public.encode())
