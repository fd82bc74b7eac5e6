"""Signing keys in a folder: PEM files, encrypted if a passphrase is given, and PKCS#11 tokens.

One folder is on one person's USB stick, or belongs to the online machine. A key is found by its id
and not by its file name, so files may be moved and renamed. ``NAME.pem`` is a private key;
``NAME.token.json`` refers to a key that never leaves its token.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

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

from base.files import PEM_LIMIT, make_folder, read_given, write_atomically
from release.errors import ReleaseToolError
from release.passphrase import PASSPHRASE_ENV, Passphrase
from release.tokens import find_token_key, open_token_key
from release.tuf_types import CryptoSigner, Key, Signer, SSlibKey
from wire.errors import FieldError
from wire.names import is_product

TOKEN_SUFFIX = ".token.json"  # noqa: S105  # a name, not a secret
PUBLIC_SUFFIX = ".pub.pem"
# Of a key's files; a product's own key may also have the product's name.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class KeyRing:
    """The keys of one folder."""

    def __init__(self, folder: Path, passphrase: Passphrase | None = None) -> None:
        """Use the keys in ``folder``; new ones are encrypted if ``passphrase`` gives one."""
        self.folder = folder
        self._passphrase = passphrase or Passphrase()
        self._signers: dict[str, Signer] | None = None
        self._opened: dict[Path, Signer] = {}
        self._password: bytes | None = None
        self._asked = False

    def make(self, name: str) -> Key:
        """Make an ed25519 key NAME.pem, or use the one that an earlier attempt made.

        Raises:
            ReleaseToolError: the passphrase is not valid, or does not open the existing key.
            WireError: ``name`` is not a valid key name.
            OSError: the file cannot be written.
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
        """Return the passphrase for new keys; asked for once, however many are made."""
        if not self._asked:
            self._password, self._asked = self._passphrase.get_new(what), True
        return self._password

    def make_more(self, role: str, count: int) -> list[Key]:
        """Make ``count`` more keys for ``role``, each in its own file.

        No key is made if an existing one cannot be read.

        Raises:
            ReleaseToolError, WireError, OSError: as in `signers` and `make`.
        """
        if self.folder.is_dir():
            self.signers()  # otherwise an unreadable key would fail the command after keys are made
        return [self.make(self.free_name(role)) for _number in range(count)]

    def free_name(self, role: str) -> str:
        """Return a name for one more key of ``role`` that no file in the folder uses."""
        names = itertools.chain([role], (f"{role}-{number}" for number in itertools.count(2)))
        suffixes = (".pem", PUBLIC_SUFFIX, TOKEN_SUFFIX)
        return next(
            name
            for name in names
            if not any((self.folder / f"{name}{suffix}").exists() for suffix in suffixes)
        )

    def adopt_token(self, name: str, label: str, key_id: int) -> Key:
        """Record a key of the PKCS#11 token ``label``; raises ReleaseToolError, WireError."""
        _check_name(name)
        key, record = find_token_key(label, key_id)
        make_folder(self.folder)
        path = self.folder / f"{name}{TOKEN_SUFFIX}"
        write_atomically(path, record, mode=0o600)
        self._signers = None
        return key

    def signers(self) -> dict[str, Signer]:
        """Return the signers of this folder's keys, by key id.

        Raises:
            ReleaseToolError: a file is not a key, is readable by other users, or needs another
                passphrase.
        """
        if self._signers is None:
            if not self.folder.is_dir():
                raise ReleaseToolError(f"{self.folder}: no such keys")
            opened = [self._open(path) for path in sorted(self.folder.glob("*.pem"))
                      if not path.name.endswith(PUBLIC_SUFFIX)]  # fmt: skip
            tokens = [open_token_key(path) for path in sorted(self.folder.glob(f"*{TOKEN_SUFFIX}"))]
            self._signers = {signer.public_key.keyid: signer for signer in [*opened, *tokens]}
        return self._signers

    def _open(self, path: Path) -> Signer:
        if path.stat().st_mode & 0o077:
            raise ReleaseToolError(f"{path}: others can read this key; chmod 600 it")
        if path not in self._opened:
            data = path.read_bytes()
            # Do not prompt for a passphrase that the key does not need.
            password = self._passphrase.get(path.name) if _is_encrypted(data) else None
            self._opened[path] = _load(path, data, password)
        return self._opened[path]


def _is_encrypted(data: bytes) -> bool:
    return b"ENCRYPTED" in data  # in the PEM label of encrypted PKCS#8


def _load(path: Path, data: bytes, password: bytes | None) -> Signer:
    """Return the signer for the private key in ``data``, read from ``path``.

    Raises:
        ReleaseToolError: it is not a private key, or does not open with ``password``.
    """
    encrypted = _is_encrypted(data)
    if encrypted and password is None:
        raise ReleaseToolError(f"{path}: is encrypted; give --passphrase-file or {PASSPHRASE_ENV}")
    try:
        return CryptoSigner(load_pem_private_key(data, password))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        reason = "wrong passphrase, or damaged" if encrypted else "not a PEM private key"
        raise ReleaseToolError(f"{path}: {reason}") from error


def _check_name(name: str) -> str:
    """Return ``name`` if it is a valid name for a key's files; raises FieldError."""
    public = f"{name}.pem".endswith(PUBLIC_SUFFIX)  # would be mistaken for a public key
    if public or not (_NAME.fullmatch(name) or is_product(name)):
        expected = 'a product\'s name or letters, digits, dots, dashes; not ending in ".pub"'
        raise FieldError("key name", name, expected)
    return name


def read_public_key(path: Path) -> Key:
    """Read another key holder's public key (PEM); raises ReleaseToolError."""
    try:
        return SSlibKey.from_crypto(load_pem_public_key(read_given(path, PEM_LIMIT)))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ReleaseToolError(f"{path}: not a PEM public key") from error


def write_public_key(path: Path, key: Key) -> None:
    """Write a public key as PEM, to be sent to the repository's maintainer."""
    public = str(key.keyval["public"])
    if key.keytype == "ed25519":  # TUF stores the raw 32 bytes, in hex
        raw = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
        public = raw.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    write_atomically(path, public.encode())
