"""A release repository: signed TUF metadata and the packages it admits.

Offline roles are root, targets and the products' own; snapshot and timestamp are online. A change of
an offline role is signed with the keys at hand: when they reach the threshold it is published at
once, otherwise it is staged until `sign` and `publish` complete it. Packages are written first and
timestamp.json last, so clients never see half of a new state.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tuf.api.exceptions import RepositoryError

from ota.admission import MapFile, Terms, parse_terms
from ota.files import Replacement, make_folder, write_atomically
from ota.keys import KeyRing, Passphrase, ReleaseToolError
from ota.metadata_store import (
    ONLINE_ROLES,
    TOP_ROLES,
    MetadataStore,
    Roles,
    choose,
    delegator_of,
    missing,
)
from ota.package import check_product
from ota.trust import SIGNED_AT, TIME_FORMAT, map_file_name, target_file_names, target_path
from ota.tuf_types import (
    DelegatedRole,
    Delegations,
    Key,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from wire.errors import WireError
from wire.ota import version_key

__all__ = ["AddedTarget", "KeyCount", "Outcome", "ReleaseToolError", "Repository"]

# A device that was in a drawer must still follow; a lost targets key must not sign for ever; the
# two online roles bound how long a device can be kept from news (freeze).
LIFETIME = {
    "root": timedelta(days=3650),
    "targets": timedelta(days=365),
    "snapshot": timedelta(days=7),
    "timestamp": timedelta(days=7),
}
COPY_SIZE = 2**20


@dataclass(frozen=True, slots=True)
class KeyCount:
    """How many keys a role has, and how many of them must sign."""

    keys: int = 1
    threshold: int = 1

    def check(self, role: str) -> None:
        """Raise ReleaseToolError for a threshold that cannot be reached."""
        if not 1 <= self.threshold <= self.keys:
            reason = f"threshold {self.threshold} of {self.keys} keys cannot be reached"
            raise ReleaseToolError(f"{role}: {reason}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a change came to: the roles that were published, and what each staged one lacks."""

    published: tuple[str, ...] = ()
    staged: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Render for the command line."""
        return {"published": list(self.published), "staged": dict(self.staged)}


@dataclass(frozen=True, slots=True)
class AddedTarget:
    """A package in the repository; ``path`` is relative to the repository's folder."""

    target: str
    path: str
    size: int
    md5: str
    sha256: str
    version: str
    product: str


class Repository:
    """One repository folder; ``keys`` is needed to change it, not to read it."""

    def __init__(
        self, folder: Path, keys: Path | None = None, passphrase: Passphrase | None = None
    ) -> None:
        """Work on ``folder``, signing with the keys in ``keys``, opened with ``passphrase``."""
        self.folder = folder
        self.store = MetadataStore(folder)
        self.metadata_dir = self.store.metadata_dir
        self._ring = None if keys is None else KeyRing(keys, passphrase)

    @property
    def root_file(self) -> Path:
        """The root that devices ship with."""
        return self.metadata_dir / "root.json"

    @property
    def keys(self) -> KeyRing:
        """The keys at hand; raises ReleaseToolError when none were given."""
        if self._ring is None:
            raise ReleaseToolError("--keys is missing: this changes the repository")
        return self._ring

    def create(self, counts: Mapping[str, KeyCount] | None = None) -> None:
        """Make keys and an empty, signed repository; keys of an earlier attempt are used again.

        Raises:
            ReleaseToolError: there is one already, or a threshold cannot be reached.
        """
        counts = counts or {}
        make_folder(self.folder)
        with self.store.locked():
            if self.root_file.exists():
                raise ReleaseToolError(f"{self.folder}: already a repository")
            make_folder(self.metadata_dir)
            make_folder(self.folder / "targets")
            root = Root(consistent_snapshot=True, expires=_expiry("root"))
            for role in TOP_ROLES:
                count = counts.get(role, KeyCount())
                count.check(role)
                numbers = range(1, count.keys + 1)
                for name in [role] if count.keys == 1 else [f"{role}-{n}" for n in numbers]:
                    root.add_key(self.keys.make(name), role)
                root.roles[role].threshold = count.threshold
            roles: Roles = {
                "root": Metadata(root),
                "targets": Metadata(Targets(expires=_expiry("targets"))),
                "snapshot": Metadata(Snapshot()),
                "timestamp": Metadata(Timestamp()),
            }
            self._sign("root", roles, None)
            self._sign("targets", roles, None)
            self._publish({}, roles)

    def add(
        self, file: Path, product: str, version: str, terms: Terms | None = None
    ) -> AddedTarget:
        """Sign ``file`` as ``product``'s ``version``; the same file again changes nothing.

        Args:
            file: the package.
            product: whose release it is.
            version: which one.
            terms: what is signed beside; its product and version are set here.

        Raises:
            ReleaseToolError: that version is there with other bytes, or the repository is damaged.
            WireError: ``product`` or ``version`` is none.
            OSError: a file cannot be read or written.
        """
        return self.add_and_tell(file, product, version, terms)[0]

    def add_and_tell(
        self,
        file: Path,
        product: str,
        version: str,
        terms: Terms | None = None,
        bundle_map: bytes | None = None,
    ) -> tuple[AddedTarget, Outcome]:
        """Do as `add`, with the map of an image; tell as well whether it lacks signatures."""
        check_product(product)
        version_key(version)
        with self.store.locked():
            roles, staged = self.store.published(), self.store.staged()
            added = self._describe(file, product, version)
            role = _role_of(product, roles | staged)
            known = (roles | staged)[role].signed.targets.get(added.target)
            if known is not None and known.hashes.get("sha256") != added.sha256:
                raise ReleaseToolError(
                    f"{added.target}: already there with other bytes; a version is never replaced"
                )
            self._copy(file, added)
            map_file = None if bundle_map is None else self._write_map(bundle_map, added)
            if known is not None:
                return added, Outcome()
            terms = terms or Terms(product, version)
            terms = replace(terms, product=product, version=version, map=map_file)

            def put(targets: Targets) -> None:
                targets.targets[added.target] = TargetFile(
                    added.size, {"sha256": added.sha256}, added.target, {"custom": terms.to_json()}
                )

            return added, self._change({role: put})

    def edit_terms(
        self, product: str, version: str, change: Callable[[Terms], Terms]
    ) -> tuple[Terms, Outcome]:
        """Change what is signed beside a package; raises ReleaseToolError when it is not there."""
        path = target_path(check_product(product), version)
        with self.store.locked():
            roles = self.store.published() | self.store.staged()
            role = _role_of(product, roles)
            target = roles[role].signed.targets.get(path)
            if target is None:
                raise ReleaseToolError(f"{path}: not in the repository")
            try:
                terms = change(parse_terms(target.custom))
            except WireError as error:
                raise ReleaseToolError(f"{path}: {error}") from error

            def put(targets: Targets) -> None:
                targets.targets[path].unrecognized_fields["custom"] = terms.to_json()

            return terms, self._change({role: put})

    def change_keys(
        self,
        role: str,
        add: Sequence[Key],
        revoke: Sequence[str] | None = (),
        threshold: int | None = None,
    ) -> Outcome:
        """Give a role other keys: a top role, or a product, which is delegated to if it is not yet.

        Args:
            role: whose keys.
            add: the new ones.
            revoke: ids of the ones that go; None: all that there are now.
            threshold: how many must sign; None: as many as now.

        Raises:
            ReleaseToolError: no such key, or the threshold cannot be reached.
        """
        with self.store.locked():
            roles = self.store.published() | self.store.staged()
            delegator = "root" if role in TOP_ROLES else "targets"
            changes: dict[str, Callable[[Any], None]] = {}
            products = {} if role in TOP_ROLES else _delegated(roles["targets"].signed)
            is_new = role not in TOP_ROLES and role not in products

            def rekey(signed: Any) -> None:
                if is_new:
                    _delegate(signed, role)
                old = signed.get_delegated_role(role)
                for keyid in list(old.keyids) if revoke is None else revoke:
                    if keyid not in old.keyids:
                        raise ReleaseToolError(f"{role}: has no key {keyid}")
                    signed.revoke_key(keyid, role)
                for key in add:
                    signed.add_key(key, role)
                old.threshold = threshold or old.threshold
                KeyCount(len(old.keyids), old.threshold).check(role)

            changes[delegator] = rekey
            if is_new:
                check_product(role)
                moved = _products_targets(roles["targets"].signed, role)

                def empty(targets: Targets) -> None:
                    rekey(targets)
                    for path in moved:
                        del targets.targets[path]

                changes[delegator] = empty
                changes[role] = lambda targets: targets.targets.update(moved)
            elif role not in ONLINE_ROLES and role != "root":
                changes[role] = lambda _targets: None  # signed anew, by the new keys
            return self._change(changes)

    def sign(self) -> Outcome:
        """Add the signatures of the keys at hand to what is staged; publishes nothing."""
        with self.store.locked():
            published, staged = self.store.published(), self.store.staged()
            for role in staged:
                self._sign(role, published | staged, published["root"].signed)
                self.store.stage(role, staged[role])
            return Outcome((), _still(published, staged))

    def publish(self) -> Outcome:
        """Publish what is staged and complete; the online keys must be at hand."""
        with self.store.locked():
            return self._finish(self.store.published(), self.store.staged())

    def refresh(self) -> None:
        """Sign a new snapshot and timestamp, before the old ones expire."""
        with self.store.locked():
            published = self.store.published()
            self._publish(published, {})

    def show(self) -> dict[str, object]:
        """Describe the repository: versions, expiry, keys of the roles; targets; what is staged."""
        published = self.store.published()
        shown = {}
        for role, metadata in published.items():
            keys = delegator_of(role, published).get_delegated_role(role)
            shown[role] = {
                "version": metadata.signed.version,
                "expires": metadata.signed.expires.strftime(TIME_FORMAT),
                "threshold": keys.threshold,
                "keys": list(keys.keyids),
            }
        targets = [
            {"target": path, "size": target.length, "sha256": target.hashes["sha256"]}
            | (target.custom or {})
            for path, target in sorted(_all_targets(published).items())
        ]
        staged = _still(published, self.store.staged())
        return {
            "repository": str(self.folder),
            "roles": shown,
            "targets": targets,
            "staged": staged,
        }

    def verify(self) -> dict[str, object]:
        """Check signatures, versions, expiry and every package's bytes, as a device would.

        Raises:
            ReleaseToolError: names the first thing that a device would refuse.
        """
        published = self.store.published()
        for role, metadata in published.items():
            if (why := missing(role, published, None)) is not None:
                raise ReleaseToolError(f"{role}: {why}")
            if metadata.signed.is_expired():
                raise ReleaseToolError(f"{role}: expired on {metadata.signed.expires}")
        targets = _all_targets(published)
        for path, target in targets.items():
            self._verify_package(path, target)
        return {"repository": str(self.folder), "targets": len(targets), "valid": True}

    def _verify_package(self, path: str, target: TargetFile) -> None:
        version = str((target.custom or {}).get("version"))
        folder = self.folder / "targets" / path.partition("/")[0]
        name = target_file_names(version, target.hashes["sha256"])[0]
        try:
            with (folder / name).open("rb") as file:
                target.verify_length_and_hashes(file)
            signed = parse_terms(target.custom).map
            found = signed and (folder / map_file_name(version, signed.sha256)).read_bytes()
            if signed and not signed.fits(found or b""):
                raise ReleaseToolError(f"{path}: its map has other bytes than signed")
        except (RepositoryError, WireError, OSError) as error:
            raise ReleaseToolError(f"{path}: {error}") from error

    def _change(self, changes: Mapping[str, Callable[[Any], None]]) -> Outcome:
        """Make the next version of roles, each from what is staged or else published."""
        published, staged = self.store.published(), self.store.staged()
        for role, change in changes.items():
            before = staged.get(role) or published.get(role)
            signed = copy.deepcopy(before.signed) if before else Targets()
            signed.version += before is not None and role not in staged
            signed.expires = _expiry(role)
            change(signed)
            staged[role] = Metadata(signed)
        return self._finish(published, staged)

    def _finish(self, published: Roles, staged: Roles) -> Outcome:
        """Sign what is staged, publish what is complete, keep the rest."""
        for role in staged:
            self._sign(role, published | staged, published["root"].signed)
        chosen, lacking = choose(published, staged)
        if chosen:
            try:
                self._publish(published, chosen)
            except ReleaseToolError as error:  # online keys are elsewhere
                lacking |= dict.fromkeys(chosen, str(error))
        for role in lacking:
            self.store.stage(role, staged[role])
        done = tuple(role for role in staged if role not in lacking)
        for role in done:
            self.store.unstage(role)
        return Outcome(done, lacking)

    def _sign(self, role: str, roles: Roles, before: Root | None) -> None:
        """Add the signatures that the keys at hand can give and that count."""
        metadata, signers = roles[role], self.keys.signers()
        counted = list(delegator_of(role, roles).get_delegated_role(role).keyids)
        if role == "root" and before is not None:
            counted += before.roles["root"].keyids
        for keyid in counted:
            if keyid in signers and keyid not in metadata.signatures:
                metadata.sign(signers[keyid], append=True)

    def _publish(self, published: Roles, chosen: Roles) -> None:
        """Write ``chosen`` with a new snapshot and timestamp; raises before anything is written."""
        roles = published | chosen
        snapshot = Metadata(copy.deepcopy(roles["snapshot"].signed))
        timestamp = Metadata(copy.deepcopy(roles["timestamp"].signed))
        for metadata in (snapshot, timestamp):
            metadata.signed.version += bool(published)
            metadata.signed.expires = _expiry(metadata.signed.type)
        for role, metadata in roles.items():
            if role not in {"root", *ONLINE_ROLES}:
                snapshot.signed.meta[f"{role}.json"] = MetaFile(metadata.signed.version)
        timestamp.signed.snapshot_meta = MetaFile(snapshot.signed.version)
        timestamp.signed.unrecognized_fields[SIGNED_AT] = datetime.now(UTC).strftime(TIME_FORMAT)
        roles |= {"snapshot": snapshot, "timestamp": timestamp}
        for role in ONLINE_ROLES:
            self._sign(role, roles, None)
            if (why := missing(role, roles, None)) is not None:
                hint = f"no such key in {self.keys.folder}"
                raise ReleaseToolError(f"{role}: {why} ({hint}); publish where the online keys are")
        self.store.write({**chosen, "snapshot": snapshot, "timestamp": timestamp})

    def _describe(self, file: Path, product: str, version: str) -> AddedTarget:
        sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
        with file.open("rb") as source:
            while chunk := source.read(COPY_SIZE):
                sha256.update(chunk)
                md5.update(chunk)  # the order's hint, not trust
                size += len(chunk)
        if not size:
            raise ReleaseToolError(f"{file}: empty")
        name = target_file_names(version, sha256.hexdigest())[0]
        return AddedTarget(
            target=target_path(product, version),
            path=f"targets/{product}/{name}",
            size=size,
            md5=md5.hexdigest(),
            sha256=sha256.hexdigest(),
            version=version,
            product=product,
        )

    def _copy(self, file: Path, added: AddedTarget) -> None:
        path = self.folder / added.path
        make_folder(path.parent)
        digest = hashlib.sha256()
        with Replacement(path) as target, file.open("rb") as source:
            while chunk := source.read(COPY_SIZE):
                digest.update(chunk)
                target.write(chunk)
            if digest.hexdigest() != added.sha256:
                raise ReleaseToolError(f"{file}: changed while it was being added")

    def _write_map(self, data: bytes, added: AddedTarget) -> MapFile:
        signed = MapFile(len(data), hashlib.sha256(data).hexdigest(), added.md5)
        name = map_file_name(added.version, signed.sha256)
        write_atomically((self.folder / added.path).with_name(name), data)
        return signed


def _still(published: Roles, staged: Roles) -> dict[str, str]:
    """Say of each staged role what it lacks, or that it is ready."""
    lacking = choose(published, staged)[1]
    return {role: lacking.get(role, "ready to be published") for role in staged}


def _delegated(targets: Targets) -> Mapping[str, DelegatedRole]:
    return (targets.delegations.roles if targets.delegations else None) or {}


def _role_of(product: str, roles: Roles) -> str:
    """Return the role that signs a product's releases: its own, or targets."""
    return product if product in _delegated(roles["targets"].signed) else "targets"


def _delegate(targets: Targets, product: str) -> None:
    """Let a product have a role of its own; what it does not hold is looked for nowhere else."""
    if targets.delegations is None:
        targets.delegations = Delegations({}, {})
    role = DelegatedRole(product, [], 1, terminating=True, paths=[f"{product}/*"])
    assert targets.delegations.roles is not None  # noqa: S101  # the constructor set it
    targets.delegations.roles[product] = role


def _products_targets(targets: Targets, product: str) -> dict[str, TargetFile]:
    return {
        path: target for path, target in targets.targets.items() if path.startswith(f"{product}/")
    }


def _all_targets(roles: Roles) -> dict[str, TargetFile]:
    """Return every signed package; the targets role's come first, as clients look."""
    found: dict[str, TargetFile] = {}
    for role, metadata in roles.items():
        if role not in {"root", *ONLINE_ROLES}:
            found = metadata.signed.targets | found
    return found


def _expiry(role: str) -> datetime:
    lifetime = LIFETIME.get(role, LIFETIME["targets"])
    return datetime.now(UTC).replace(microsecond=0) + lifetime
