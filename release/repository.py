"""A release repository: signed TUF metadata and the packages it admits.

Root, targets and the products' roles are offline; snapshot and timestamp are online. A change of an
offline role is signed with the available keys. If they reach the threshold it is published at once,
otherwise it is staged until `sign` and `publish` complete it. Packages are written first and
timestamp.json last, so clients never see a partial state. Clients find a new root without the
timestamp, so a new root is staged with all roles that go with it before it is published; after a
crash, the next command completes the change.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tuf.api.exceptions import UnsignedMetadataError

from base.clock import EARLIEST, show_time
from base.files import make_folder
from ota.install.package import check_product
from ota.trust.client import SIGNED_AT, TIME_FORMAT, target_path
from ota.trust.terms import Terms, check_terms, parse_terms
from release.keys import KeyRing, Passphrase, ReleaseToolError
from release.metadata_store import (
    ONLINE_ROLES,
    TOP_ROLES,
    MetadataStore,
    Roles,
    check_versions,
    choose,
    is_signed,
    missing,
    role_keys,
)
from release.package_files import AddedTarget, copy_package, describe, verify_package, write_map
from release.role_changes import describe_changes
from release.role_keys import KeyChange, KeyCount, delegated, role_of
from release.tuf_types import (
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

# Root: a device that was off for years must still accept the chain. Targets: a lost key must not
# sign for ever. Snapshot and timestamp: they limit how long a freeze attack can withhold updates.
LIFETIME = {
    "root": timedelta(days=3650),
    "targets": timedelta(days=365),
    "snapshot": timedelta(days=7),
    "timestamp": timedelta(days=7),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a change.

    Attributes:
        published: the roles that were published.
        staged: what each staged role lacks.
        keys: ids of the keys that were added to a role.
        changes: line by line, what each staged role would change.
        kept: the signed terms of a package that was there, if other terms were given.
    """

    published: tuple[str, ...] = ()
    staged: Mapping[str, str] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    changes: Mapping[str, list[str]] = field(default_factory=dict)
    kept: Mapping[str, object] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return the JSON object for the command line."""
        told: dict[str, object] = {"published": list(self.published), "staged": dict(self.staged)}
        return told | ({"changes": dict(self.changes)} if self.changes else {})


class Repository:
    """A release repository in one folder."""

    def __init__(
        self, folder: Path, keys: Path | None = None, passphrase: Passphrase | None = None
    ) -> None:
        """Use the repository in ``folder``.

        Args:
            folder: the repository.
            keys: folder of the signing keys; needed to change the repository, not to read it.
            passphrase: opens encrypted keys, and encrypts new ones.
        """
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
        """The available keys; raises ReleaseToolError if no key folder was given."""
        if self._ring is None:
            raise ReleaseToolError("--keys is missing: this changes the repository")
        return self._ring

    def create(self, counts: Mapping[str, KeyCount] | None = None) -> None:
        """Make keys and an empty, signed repository; keys of an earlier attempt are reused.

        Raises:
            ReleaseToolError: the repository exists already, or a threshold cannot be reached.
        """
        counts = {role: (counts or {}).get(role, KeyCount()) for role in TOP_ROLES}
        for role, count in counts.items():
            count.check(role)
        _check_clock()
        make_folder(self.folder)
        with self.store.locked():
            if self.store.has_history():
                raise ReleaseToolError(f"{self.folder}: already a repository")
            make_folder(self.metadata_dir)
            make_folder(self.folder / "targets")
            root = Root(consistent_snapshot=True, expires=_expiry("root"))
            for role, count in counts.items():
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
        """Add ``file`` as ``version`` of ``product``, signed; repeating it changes nothing.

        Args:
            file: the package.
            product: product that the release is for.
            version: version of the release.
            terms: signed with the package; its product and version are set here.

        Raises:
            ReleaseToolError: that version exists with other bytes, or the repository is damaged.
            WireError: ``product`` or ``version`` is not valid.
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
        """Add a package as `add` does, with a bundle's map; return also the outcome."""
        check_product(product)
        version_key(version)
        asked = terms
        terms = replace(terms or Terms(product, version), product=product, version=version)
        check_terms(terms)
        with self.store.locked():
            published, staged = self._begin()
            roles = published | staged
            added = describe(file, product, version)
            role = role_of(product, roles)
            known = roles[role].signed.targets.get(added.target)
            if known is not None and known.hashes.get("sha256") != added.sha256:
                raise ReleaseToolError(
                    f"{added.target}: already there with other bytes; a version is never replaced"
                )
            copy_package(self.folder, file, added)
            map_file = None if bundle_map is None else write_map(self.folder, bundle_map, added)
            if known is not None:
                kept = {} if asked is None or _same(terms, known) else known.custom or {}
                return added, Outcome((), _still(published, staged), kept=kept)
            signed_terms = replace(terms, map=map_file)

            def put(targets: Targets) -> None:
                targets.targets[added.target] = TargetFile(
                    added.size,
                    {"sha256": added.sha256},
                    added.target,
                    {"custom": signed_terms.to_json()},
                )

            return added, self._change(published, staged, {role: put})

    def edit_terms(
        self, product: str, version: str, change: Callable[[Terms], Terms]
    ) -> tuple[Terms, Outcome]:
        """Change the signed terms of a package; raises ReleaseToolError if it does not exist."""
        path = target_path(check_product(product), version)
        with self.store.locked():
            published, staged = self._begin()
            roles = published | staged
            role = role_of(product, roles)
            target = roles[role].signed.targets.get(path)
            if target is None:
                raise ReleaseToolError(f"{path}: not in the repository")
            try:
                terms = change(parse_terms(target.custom))
            except WireError as error:
                raise ReleaseToolError(f"{path}: {error}") from error
            check_terms(terms)

            def put(targets: Targets) -> None:
                targets.targets[path].unrecognized_fields["custom"] = terms.to_json()

            return terms, self._change(published, staged, {role: put})

    def change_keys(
        self,
        role: str,
        add: Sequence[Key] | int,
        revoke: Sequence[str] | None = (),
        threshold: int | None = None,
    ) -> Outcome:
        """Change the keys of a role.

        Args:
            role: a top-level role, or a product, which gets a delegation if it has none yet.
            add: the new keys, or how many to make in the key folder.
            revoke: ids of the keys to remove; None: all present ones.
            threshold: how many keys must sign; None: unchanged.

        Raises:
            ReleaseToolError: the role has no such key, or the threshold cannot be reached.
            WireError: ``role`` is not a valid product name.
        """
        change = KeyChange(role, revoke, threshold)
        with self.store.locked():
            published, staged = self._begin()
            roles = published | staged
            change.check(roles, add if isinstance(add, int) else len(add))
            # Keys are made after the check, so that a refused change leaves none behind.
            keys = self.keys.make_more(role, add) if isinstance(add, int) else add
            outcome = self._change(published, staged, change.changes(roles, keys))
            return replace(outcome, keys=tuple(key.keyid for key in keys))

    def sign(self) -> Outcome:
        """Sign the staged roles with the available keys; publishes nothing."""
        with self.store.locked():
            published, staged = self._read()
            for role in staged:
                self._sign(role, published | staged, published["root"].signed)
            self.store.stage(staged)
            changes = _changes(published, staged)
            return Outcome((), _still(published, staged), changes=changes)

    def publish(self) -> Outcome:
        """Publish the staged roles that are complete; the online keys must be available."""
        with self.store.locked():
            _check_clock()
            return self._finish(*self._read())

    def refresh(self) -> None:
        """Sign and publish a new snapshot and timestamp; call it before the old ones expire."""
        with self.store.locked():
            self._publish(self._begin()[0], {})

    def show(self) -> dict[str, object]:
        """Describe the repository: version, expiry and keys of each role, targets, staged roles.

        ``staged`` has what each staged role lacks, ``changes`` what it changes.
        """
        published = self.store.published()
        shown = {}
        for role, metadata in published.items():
            keys = role_keys(role, published)
            shown[role] = {
                "version": metadata.signed.version,
                "expires": metadata.signed.expires.strftime(TIME_FORMAT),
                "threshold": keys.threshold,
                "keys": list(keys.keyids),
            }
        targets = [
            {"target": path, "size": target.length, "sha256": target.hashes.get("sha256")}
            | (target.custom or {})
            for path, target in sorted(_all_targets(published).items())
        ]
        staged = _live(published, self.store.staged())
        return {
            "repository": str(self.folder),
            "roles": shown,
            "targets": targets,
            "staged": _still(published, staged),
            "changes": _changes(published, staged),
        }

    def verify(self) -> dict[str, object]:
        """Verify signatures, versions, expiry and every package's bytes, as a device does.

        Raises:
            ReleaseToolError: a device would refuse the repository; names the first reason.
        """
        _check_clock()
        published = self.store.published()
        self.store.check_roots(published["root"].signed.version)
        check_versions(published)
        for role, metadata in published.items():
            if (why := missing(role, published, None)) is not None:
                raise ReleaseToolError(f"{role}: {why}")
            if metadata.signed.is_expired():
                raise ReleaseToolError(f"{role}: expired on {metadata.signed.expires}")
        targets = _all_targets(published)
        for path, target in targets.items():
            verify_package(self.folder, path, target)
        return {"repository": str(self.folder), "targets": len(targets), "valid": True}

    def _begin(self) -> tuple[Roles, Roles]:
        """Return the published and the staged roles, at the start of a change.

        If a new root was written without the roles that go with it (a kill, a full disk), that
        change is completed first. Another root of the same version would split the machines into
        two groups for good.

        Raises:
            ReleaseToolError: it cannot be completed with the available keys.
        """
        _check_clock()
        published, staged = self._read()
        if (root := self.store.next_root(published)) is None:
            return published, staged
        outcome = self._finish(published, {"root": root} | staged)
        if "root" not in outcome.published:
            why = "; ".join(f"{role}: {lack}" for role, lack in outcome.staged.items())
            raise ReleaseToolError(f"an interrupted change of keys is to be published first: {why}")
        return self._read()

    def _read(self) -> tuple[Roles, Roles]:
        """Return the published and the staged roles; removes staged files left over by a kill."""
        published, found = self.store.published(), self.store.staged()
        staged = _live(published, found)
        for role in found.keys() - staged.keys():
            self.store.unstage(role)
        return published, staged

    def _change(
        self, published: Roles, staged: Roles, changes: Mapping[str, Callable[[Any], None]]
    ) -> Outcome:
        """Make the next version of roles, each based on its staged or else published version."""
        for role, change in changes.items():
            before = staged.get(role) or published.get(role)
            signed = copy.deepcopy(before.signed) if before else Targets()
            signed.version += before is not None and role not in staged
            signed.expires = _expiry(role)
            change(signed)
            staged[role] = Metadata(signed)
        return self._finish(published, staged)

    def _finish(self, published: Roles, staged: Roles) -> Outcome:
        """Sign the staged roles, publish the complete ones, and keep the rest staged."""
        for role in staged:
            self._sign(role, published | staged, published["root"].signed)
        chosen, lacking = choose(published, staged)
        if "root" in chosen:  # a retry after a crash must publish exactly this root: see _begin
            self.store.stage(chosen)
        if chosen:
            try:
                self._publish(published, chosen)
            except ReleaseToolError as error:  # the online keys are not available here
                lacking |= dict.fromkeys(chosen, str(error))
        self.store.stage({role: staged[role] for role in lacking})
        done = tuple(role for role in staged if role not in lacking)
        for role in done:
            self.store.unstage(role)
        return Outcome(done, lacking)

    def _sign(self, role: str, roles: Roles, before: Root | None) -> None:
        """Sign with the available keys that count for ``role``."""
        metadata, signers = roles[role], self.keys.signers()
        counted = list(role_keys(role, roles).keyids)
        if role == "root" and before is not None:
            counted += before.roles["root"].keyids
        for keyid in counted:
            # An invalid signature by the same key is replaced.
            if keyid in signers and not is_signed(metadata, signers[keyid].public_key):
                try:
                    metadata.sign(signers[keyid], append=True)
                except (
                    UnsignedMetadataError
                ) as error:  # the token is not there, or the PIN is wrong
                    reason = error.__cause__ or error
                    told = str(reason) or type(reason).__name__
                    raise ReleaseToolError(f"key {keyid}: {told}") from error

    def _publish(self, published: Roles, chosen: Roles) -> None:
        """Write ``chosen`` with a new snapshot and timestamp.

        Raises:
            ReleaseToolError: the online keys are not available; nothing was written.
        """
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
        timestamp.signed.unrecognized_fields[SIGNED_AT] = _now().strftime(TIME_FORMAT)
        roles |= {"snapshot": snapshot, "timestamp": timestamp}
        for role in ONLINE_ROLES:
            self._sign(role, roles, None)
            if (why := missing(role, roles, None)) is not None:
                hint = f"no such key in {self.keys.folder}"
                raise ReleaseToolError(f"{role}: {why} ({hint}); publish where the online keys are")
        self.store.write({**chosen, "snapshot": snapshot, "timestamp": timestamp})


def _same(terms: Terms, known: TargetFile) -> bool:
    """Return whether a signed package has these terms, ignoring its map."""
    return (known.custom or {}) | {"map": None} == terms.to_json() | {"map": None}


def _live(published: Roles, staged: Roles) -> Roles:
    """Return the staged roles that are newer than the published ones and still delegated to."""
    named = {*TOP_ROLES, *delegated((published | staged)["targets"].signed)}
    return {
        role: metadata
        for role, metadata in staged.items()
        if role in named
        and (role not in published or metadata.signed.version > published[role].signed.version)
    }


def _still(published: Roles, staged: Roles) -> dict[str, str]:
    """Return for each staged role what it lacks, or that it is ready."""
    lacking = choose(published, staged)[1]
    return {role: lacking.get(role, "ready to be published") for role in staged}


def _changes(published: Roles, staged: Roles) -> dict[str, list[str]]:
    """Return for each staged role what it would change, line by line."""
    return {
        role: describe_changes(published[role].signed if role in published else None, draft.signed)
        for role, draft in staged.items()
    }


def _all_targets(roles: Roles) -> dict[str, TargetFile]:
    """Return every signed package; as for clients, the targets role overrides products' roles."""
    found: dict[str, TargetFile] = {}
    for role, metadata in roles.items():
        if role not in {"root", *ONLINE_ROLES}:
            found = metadata.signed.targets | found
    return found


def _expiry(role: str) -> datetime:
    lifetime = LIFETIME.get(role, LIFETIME["targets"])
    return _now() + lifetime


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _check_clock() -> None:
    """Refuse to sign or verify by an implausible clock, which is common on an offline machine.

    Raises:
        ReleaseToolError: the clock is before `EARLIEST`, so new signatures would have expired.
    """
    now = _now().timestamp()
    if now < EARLIEST:
        reason = f"expected {show_time(EARLIEST)} or later; set it first"
        raise ReleaseToolError(f"this machine's clock says {show_time(now)}, {reason}")
