"""What `tools.fuzz` feeds to the trust of updates: metadata of strangers, and metadata that a good key has signed, whatever it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from ota.errors import ContentError
from ota.trust.target import check_target
from ota.trust.terms import ThisMachine
from tools.fuzz_target import Target
from wire.ota import OtaOrder

ORDER = OtaOrder("1", "1.0.1", "1.0.0", "http://127.0.0.1/1.0.1.tar.gz", 10, "0" * 32)
MACHINE = ThisMachine("lamp", "1.0.0")
_EXPIRES = datetime(2099, 1, 1, tzinfo=UTC)


class Repository:
    """A repository with one key for all roles; made when it is used, since python-tuf takes its time to load."""

    @cached_property
    def signer(self) -> Any:
        """The key: always the same one, so that what was kept of a run is signed by it."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415  # as the class says

        from release.tuf_types import CryptoSigner  # noqa: PLC0415  # the same

        return CryptoSigner(Ed25519PrivateKey.from_private_bytes(bytes(32)))

    @cached_property
    def roles(self) -> Mapping[str, bytes]:
        """Metadata of each role, signed; the root is the second one."""
        from release import tuf_types as tuf  # noqa: PLC0415  # as the class says

        custom = {
            "product": "lamp", "version": "1.0.1", "installer": "slots", "channels": ["stable"],
        }  # fmt: skip
        entry = tuf.TargetFile(10, {"sha256": "0" * 64}, "lamp/1.0.1.tar.gz", {"custom": custom})
        made: dict[str, Any] = {
            "timestamp": tuf.Timestamp(expires=_EXPIRES),
            "snapshot": tuf.Snapshot(expires=_EXPIRES),
            "targets": tuf.Targets(expires=_EXPIRES, targets={entry.path: entry}),
        }
        signed = {name: self._signed(tuf.Metadata(role)) for name, role in made.items()}
        return {"root": self._root(2), **signed}

    @cached_property
    def trusted_root(self) -> bytes:
        """The root that the machine has."""
        return self._root(1)

    def _root(self, version: int) -> bytes:
        from release import tuf_types as tuf  # noqa: PLC0415  # as the class says

        root = tuf.Root(version, expires=_EXPIRES)
        for role in ("root", "timestamp", "snapshot", "targets"):
            root.add_key(self.signer.public_key, role)
        return self._signed(tuf.Metadata(root))

    def _signed(self, metadata: Any) -> bytes:
        metadata.sign(self.signer)
        return bytes(metadata.to_bytes())

    def of_strangers(self, data: bytes) -> None:
        """Take up what anybody may serve."""
        from tuf.api.metadata import Metadata  # noqa: PLC0415  # as the class says

        self._take(Metadata.from_bytes(data).signed.type, data)

    def of_the_key(self, data: bytes) -> None:
        """Sign what is given, and take it up."""
        from tuf.api.metadata import Metadata  # noqa: PLC0415  # as the class says

        metadata: Any = Metadata.from_bytes(data)
        self._take(metadata.signed.type, self._signed(metadata))

    def _take(self, kind: str, data: bytes) -> None:
        """Take metadata of a kind as the machine does, after what comes before it; check a package that it names."""
        from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet  # noqa: PLC0415  # as the class says
        from tuf.ngclient.config import EnvelopeType  # noqa: PLC0415  # the same

        trusted = TrustedMetadataSet(self.trusted_root, EnvelopeType.METADATA)
        served = {**self.roles, kind: data}
        if kind == "root":
            trusted.update_root(data)
            return
        trusted.update_timestamp(served["timestamp"])
        trusted.update_snapshot(served["snapshot"])
        trusted.update_targets(served["targets"])
        for entry in trusted.targets.targets.values():
            check_target(entry, ORDER, MACHINE)


def metadata_targets() -> Sequence[Target]:
    """Return both readers, with the errors that `ota.trust.client` converts."""
    from tuf.api.exceptions import RepositoryError  # noqa: PLC0415  # as the class says

    repository = Repository()
    good = list(repository.roles.values())
    errors = (RepositoryError, ValueError, LookupError, TypeError, ContentError)
    readers: Mapping[str, Callable[[bytes], None]] = {
        "signed metadata": repository.of_strangers,
        "metadata of a good key": repository.of_the_key,
    }
    return [Target(name, good, read, errors) for name, read in readers.items()]
