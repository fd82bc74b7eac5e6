"""The packages that orders may name: such as no machine installs, and one of the tester's that it should.

A machine that trusts the bench's root is offered random bytes that are signed right: it fetches them whole, and fails where it
unpacks them. One without TUF would write them over its firmware; it is offered the tester's own package, with an MD5 that
is not its own. With neither there is nothing to offer, and the checks that need a package say so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random

from staging.advise.bench import Bench, Serving
from staging.advise.orders import MD5
from staging.advise.tuf import Entry, Lie, Signer, metadata_of, root_of

FOLDER = "/tuf"
# What a machine is called that does not say what it is.
PRODUCT = "story-machine"
# Bytes of a package of nothing: two requests of a download that is cut, and some reports of its progress.
SIZE = 160 * 1024
# How many versions back a repository is that was rolled back.
BACK = 5
PLAIN: Mapping[str, object] = {}


@dataclass(frozen=True, slots=True)
class Package:
    """A package of the tester's, which the device may install."""

    version: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one order names.

    Attributes:
        version, size, md5: as the order says them.
        path: where it is served.
        content: its bytes.
    """

    version: str
    path: str
    content: bytes
    size: int
    md5: str


class Releases:
    """What the bench publishes."""

    def __init__(
        self,
        seed: bytes | None = None,
        package: Package | None = None,
        product: str = "",
        installer: str = "slots",
        size: int = SIZE,
    ) -> None:
        """Sign by the key of ``seed``; None: the machine does not trust the bench's root. ``size``: bytes of a package of nothing."""
        self._signer = None if seed is None else Signer(seed)
        self.package = package
        self._product, self._installer, self._size = product, installer, size
        self._entry: Entry | None = None
        self._version = self._count = 0
        self._timestamps: list[tuple[int, Lie, Serving]] = []

    @property
    def signed(self) -> bool:
        """Whether there is a repository that the machine should trust."""
        return self._signer is not None

    @property
    def some(self) -> bool:
        """Whether there is anything that may be offered."""
        return self.signed or self.package is not None

    @property
    def asked(self) -> bool:
        """Whether the machine has asked for the repository's metadata."""
        return any(how.asked for _, _, how in self._timestamps)

    @property
    def root(self) -> bytes:
        """The root that the machine is flashed with; b"" without one."""
        return b"" if self._signer is None else root_of(self._signer)

    def spoiled(
        self, bench: Bench, random: Random, product: str, custom: Mapping[str, object] = PLAIN
    ) -> Parcel:
        """Return a new package that must not be installed."""
        self._count += 1
        if self._signer is None:
            assert self.package is not None  # noqa: S101  # `some` was asked before
            made = self._parcel(self.package.version, self.package.content)
            return replace(made, md5=MD5)
        return self._publish(
            bench, f"99.0.0.{self._count}", b"!" + random.randbytes(self._size - 1), product, custom
        )

    def good(self, bench: Bench, product: str) -> Parcel:
        """Return the tester's package, to be installed."""
        assert self.package is not None  # noqa: S101  # the case asked before
        if self._signer is None:
            return self._parcel(self.package.version, self.package.content)
        return self._publish(bench, self.package.version, self.package.content, product, PLAIN)

    def _publish(
        self, bench: Bench, version: str, content: bytes, product: str, custom: Mapping[str, object]
    ) -> Parcel:
        name = self._product or product or PRODUCT
        path = f"{name}/{version}.tar.gz"
        told = {"version": version, "product": name, "installer": self._installer} | dict(custom)
        # The newest alone: what is signed for each order is small, and an older one is ordered no more.
        self._entry = Entry(path, content, told)
        self.show(bench)
        return self._parcel(version, content)

    def _parcel(self, version: str, content: bytes) -> Parcel:
        sha256 = hashlib.sha256(content).hexdigest()
        # One path for each order: what a machine fetches of one is not taken for another's.
        path = f"/{self._count}/{sha256}.{version}.tar.gz"
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        return Parcel(version, path, content, len(content), md5)

    def show(self, bench: Bench, lie: Lie = Lie.NONE) -> None:
        """Serve the repository as it is now, or with a lie."""
        if self._signer is None:
            return
        if lie is Lie.ROLLED_BACK:
            version = self._read - BACK
        else:
            # Later than any run before, whose metadata the machine may have kept.
            version = self._version = max(self._version + 1, bench.wall_ms() // 1000)
        files = metadata_of(self._signer, version, self._entry, bench.wall_ms(), lie)
        bench.serve(f"{FOLDER}/metadata/1.root.json", Serving(self.root))
        for name, content in files.items():
            how = Serving(content)
            bench.serve(f"{FOLDER}/metadata/{name}", how)
            if name == "timestamp.json":
                self._timestamps.append((version, lie, how))

    @property
    def _read(self) -> int:
        """The newest version that the machine has read and had no reason to refuse."""
        return max(
            (version for version, lie, how in self._timestamps if how.asked and lie is Lie.NONE),
            default=self._version,
        )
