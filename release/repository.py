"""A release repository: signed TUF metadata and the packages it admits.

Each method is one command: it takes the repository's lock and reads the roles. `publication` signs
a change with the available keys. If they reach the threshold it is published at once, otherwise it
is staged until `sign` and `publish` complete it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from base.files import make_folder
from ota.trust.target import target_path
from ota.trust.terms import Terms, check_terms, parse_terms
from release import lifetimes
from release.errors import ReleaseToolError
from release.inspection import show_repository, verify_repository
from release.keys import KeyRing
from release.metadata_store import MetadataStore
from release.package_files import AddedTarget, copy_package, describe, write_map
from release.passphrase import Passphrase
from release.publication import Outcome, Publication
from release.role_changes import describe_staged
from release.role_keys import KeyChange, KeyCount, role_of
from release.roles import TOP_ROLES, Roles, lacks_by_role
from release.tuf_types import Key, Metadata, Root, Snapshot, TargetFile, Targets, Timestamp
from wire.errors import WireError
from wire.names import check_product
from wire.ota import version_key


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

    @property
    def _publication(self) -> Publication:
        return Publication(self.store, self.keys)

    def create(self, counts: Mapping[str, KeyCount] | None = None) -> None:
        """Make keys and an empty, signed repository; keys of an earlier attempt are reused.

        Raises:
            ReleaseToolError: the repository exists already, or a threshold cannot be reached.
        """
        counts = {role: (counts or {}).get(role, KeyCount()) for role in TOP_ROLES}
        for role, count in counts.items():
            count.check(role)
        lifetimes.check_clock()
        make_folder(self.folder)
        with self.store.locked():
            if self.store.has_history():
                raise ReleaseToolError(f"{self.folder}: already a repository")
            make_folder(self.metadata_dir)
            make_folder(self.folder / "targets")
            roles: Roles = {
                "root": Metadata(self._first_root(counts)),
                "targets": Metadata(Targets(expires=lifetimes.expiry("targets"))),
                "snapshot": Metadata(Snapshot()),
                "timestamp": Metadata(Timestamp()),
            }
            self._publication.sign("root", roles, None)
            self._publication.sign("targets", roles, None)
            self._publication.publish({}, roles)

    def _first_root(self, counts: Mapping[str, KeyCount]) -> Root:
        root = Root(consistent_snapshot=True, expires=lifetimes.expiry("root"))
        for role, count in counts.items():
            numbers = range(1, count.keys + 1)
            for name in [role] if count.keys == 1 else [f"{role}-{n}" for n in numbers]:
                root.add_key(self.keys.make(name), role)
            root.roles[role].threshold = count.threshold
        return root

    def add(
        self,
        file: Path,
        product: str,
        version: str,
        terms: Terms | None = None,
        bundle_map: bytes | None = None,
    ) -> tuple[AddedTarget, Outcome]:
        """Add ``file`` as ``version`` of ``product``, signed; repeating it changes nothing.

        Args:
            file: the package.
            product: product that the release is for.
            version: version of the release.
            terms: signed with the package; its product and version are set here.
            bundle_map: the map of a bundle, which is stored and signed with it.

        Raises:
            ReleaseToolError: that version exists with other bytes, or the repository is damaged.
            WireError: ``product`` or ``version`` is not valid.
            OSError: a file cannot be read or written.
        """
        check_product(product)
        version_key(version)
        asked = terms
        terms = replace(terms or Terms(product, version), product=product, version=version)
        check_terms(terms)
        with self.store.locked():
            published, staged = self._publication.begin()
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
                return added, Outcome((), lacks_by_role(published, staged), kept=kept)
            entry = _entry(added, replace(terms, map=map_file))

            def put(targets: Targets) -> None:
                targets.targets[added.target] = entry

            return added, self._publication.change(published, staged, {role: put})

    def edit_terms(
        self, product: str, version: str, change: Callable[[Terms], Terms]
    ) -> tuple[Terms, Outcome]:
        """Change the signed terms of a package; raises ReleaseToolError if it does not exist."""
        path = target_path(check_product(product), version)
        with self.store.locked():
            published, staged = self._publication.begin()
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

            return terms, self._publication.change(published, staged, {role: put})

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
            published, staged = self._publication.begin()
            roles = published | staged
            change.check(roles, add if isinstance(add, int) else len(add))
            # Keys are made after the check, so that a refused change leaves none behind.
            keys = self.keys.make_more(role, add) if isinstance(add, int) else add
            outcome = self._publication.change(published, staged, change.changes(roles, keys))
            return replace(outcome, keys=tuple(key.keyid for key in keys))

    def sign(self) -> Outcome:
        """Sign the staged roles with the available keys; publishes nothing."""
        with self.store.locked():
            published, staged = self._publication.read()
            for role in staged:
                self._publication.sign(role, published | staged, published["root"].signed)
            self.store.stage(staged)
            changes = describe_staged(published, staged)
            return Outcome((), lacks_by_role(published, staged), changes=changes)

    def publish(self) -> Outcome:
        """Publish the staged roles that are complete; the online keys must be available."""
        with self.store.locked():
            lifetimes.check_clock()
            return self._publication.finish(*self._publication.read())

    def refresh(self) -> None:
        """Sign and publish a new snapshot and timestamp; call it before the old ones expire."""
        with self.store.locked():
            self._publication.publish(self._publication.begin()[0], {})

    def show(self) -> dict[str, object]:
        """Describe the repository, as `show_repository` does."""
        return show_repository(self.store)

    def verify(self) -> dict[str, object]:
        """Verify the repository, as `verify_repository` does; raises ReleaseToolError."""
        return verify_repository(self.store)


def _entry(added: AddedTarget, terms: Terms) -> TargetFile:
    hashes = {"sha256": added.sha256}
    return TargetFile(added.size, hashes, added.target, {"custom": terms.to_json()})


def _same(terms: Terms, known: TargetFile) -> bool:
    """Return whether a signed package has these terms, ignoring its map."""
    return (known.custom or {}) | {"map": None} == terms.to_json() | {"map": None}
