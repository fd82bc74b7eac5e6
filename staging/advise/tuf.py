"""A TUF repository of the advisor's own, and the lies that an attacker of updates tells: frozen, rolled back, forged.

What is signed is written here as the TUF specification 1.0 has it, because no repository tool makes metadata that is
wrong. No I/O: `staging.advise.releases` serves the files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SPEC = "1.0.31"
SEED_BYTES = 32
# A bench's root need not be flashed again.
ROOT_EXPIRES = "2046-01-01T00:00:00Z"
DAY = timedelta(days=1)


class Lie(StrEnum):
    """What is wrong with a repository."""

    NONE = "none"
    FROZEN = "frozen"
    """Its timestamp has expired: somebody withholds newer ones."""
    ROLLED_BACK = "rolled back"
    """It is older than what was shown before."""
    FORGED = "forged"
    """Somebody else's key has signed it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A package in signed metadata: its path there, its bytes, and its custom fields."""

    path: str
    content: bytes
    custom: Mapping[str, object]

    @property
    def sha256(self) -> str:
        """The bytes' hash, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


class Signer:
    """One Ed25519 key, which has all roles: a bench needs no ceremony."""

    def __init__(self, seed: bytes) -> None:
        """Use the key of a seed of 32 bytes."""
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        public = self._key.public_key().public_bytes_raw().hex()
        self.public = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public}}
        self.id = hashlib.sha256(canonical(self.public)).hexdigest()

    def sign(self, signed: Mapping[str, object], *, named: str = "") -> bytes:
        """Return a metadata file; ``named``: the key that it claims to be signed by, "" for this one."""
        made = self._key.sign(canonical(signed)).hex()
        return canonical(
            {"signatures": [{"keyid": named or self.id, "sig": made}], "signed": signed}
        )


def canonical(value: object) -> bytes:
    """Return canonical JSON, of text without control characters."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def root_of(signer: Signer) -> bytes:
    """Return the root that a machine is flashed with."""
    role = {"keyids": [signer.id], "threshold": 1}
    return signer.sign({
        "_type": "root", "spec_version": SPEC, "version": 1, "expires": ROOT_EXPIRES, "consistent_snapshot": True,
        "keys": {signer.id: signer.public},
        "roles": dict.fromkeys(("root", "timestamp", "snapshot", "targets"), role),
    })  # fmt: skip


def metadata_of(
    signer: Signer, version: int, entry: Entry | None, now_ms: int, lie: Lie = Lie.NONE
) -> dict[str, bytes]:
    """Return the files of one state of the repository by their names; ``version`` grows with each, but where it is rolled back."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    hand, named = signer, ""
    if lie is Lie.FORGED:
        hand, named = Signer(hashlib.sha256(b"a stranger").digest()), signer.id

    def made(kind: str, expires: datetime, **more: object) -> bytes:
        head = {
            "_type": kind, "spec_version": SPEC, "version": version, "expires": f"{expires:%Y-%m-%dT%H:%M:%SZ}",
        }  # fmt: skip
        return hand.sign(head | more, named=named)

    last = now - DAY if lie is Lie.FROZEN else now + DAY
    return {
        f"{version}.targets.json": made("targets", now + DAY, targets=_targets(entry)),
        f"{version}.snapshot.json": made(
            "snapshot", now + DAY, meta={"targets.json": {"version": version}}
        ),
        "timestamp.json": made("timestamp", last, meta={"snapshot.json": {"version": version}}),
    }


def _targets(entry: Entry | None) -> dict[str, object]:
    if entry is None:
        return {}
    told = {
        "length": len(entry.content),
        "hashes": {"sha256": entry.sha256},
        "custom": dict(entry.custom),
    }
    return {entry.path: told}
