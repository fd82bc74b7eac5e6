"""Signs changed roles with the available keys, publishes the complete ones, and stages the rest.

Root, targets and the products' roles are offline; snapshot and timestamp are online. Packages are
written first and timestamp.json last, so clients never see a partial state. Clients find a new root
without the timestamp, so a new root is staged with all roles that go with it before it is
published; after a crash, the next command completes the change.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tuf.api.exceptions import UnsignedMetadataError

from ota.trust.client import SIGNED_AT, TIME_FORMAT
from release import lifetimes
from release.errors import ReleaseToolError
from release.keys import KeyRing
from release.metadata_store import MetadataStore
from release.roles import ONLINE_ROLES, Roles, choose, is_signed, live_roles, missing, role_keys
from release.tuf_types import Metadata, MetaFile, Root, Targets


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
        result: dict[str, object] = {"published": list(self.published), "staged": dict(self.staged)}
        return result | ({"changes": dict(self.changes)} if self.changes else {})


class Publication:
    """Changes the roles of one repository; the caller holds the store's lock."""

    def __init__(self, store: MetadataStore, keys: KeyRing) -> None:
        """Use the metadata in ``store`` and the keys in ``keys``."""
        self._store = store
        self._keys = keys

    def begin(self) -> tuple[Roles, Roles]:
        """Return the published and the staged roles, at the start of a change.

        If a new root was written without the roles that go with it (a kill, a full disk), that
        change is completed first. Another root of the same version would split the machines into
        two groups for good.

        Raises:
            ReleaseToolError: it cannot be completed with the available keys.
        """
        lifetimes.check_clock()
        published, staged = self.read()
        if (root := self._store.next_root(published)) is None:
            return published, staged
        outcome = self.finish(published, {"root": root} | staged)
        if "root" not in outcome.published:
            why = "; ".join(f"{role}: {lack}" for role, lack in outcome.staged.items())
            raise ReleaseToolError(f"an interrupted change of keys is to be published first: {why}")
        return self.read()

    def read(self) -> tuple[Roles, Roles]:
        """Return the published and the staged roles; removes staged files left over by a kill."""
        published, found = self._store.published(), self._store.staged()
        staged = live_roles(published, found)
        for role in found.keys() - staged.keys():
            self._store.unstage(role)
        return published, staged

    def change(
        self, published: Roles, staged: Roles, changes: Mapping[str, Callable[[Any], None]]
    ) -> Outcome:
        """Make the next version of roles, each based on its staged or else published version."""
        for role, change in changes.items():
            before = staged.get(role) or published.get(role)
            signed = copy.deepcopy(before.signed) if before else Targets()
            signed.version += before is not None and role not in staged
            signed.expires = lifetimes.expiry(role)
            change(signed)
            staged[role] = Metadata(signed)
        return self.finish(published, staged)

    def finish(self, published: Roles, staged: Roles) -> Outcome:
        """Sign the staged roles, publish the complete ones, and keep the rest staged."""
        for role in staged:
            self.sign(role, published | staged, published["root"].signed)
        chosen, lacking = choose(published, staged)
        if "root" in chosen:  # a retry after a crash must publish exactly this root: see _begin
            self._store.stage(chosen)
        if chosen:
            try:
                self.publish(published, chosen)
            except ReleaseToolError as error:  # the online keys are not available here
                lacking |= dict.fromkeys(chosen, str(error))
        self._store.stage({role: staged[role] for role in lacking})
        done = tuple(role for role in staged if role not in lacking)
        for role in done:
            self._store.unstage(role)
        return Outcome(done, lacking)

    def sign(self, role: str, roles: Roles, before: Root | None) -> None:
        """Sign with the available keys that count for ``role``."""
        metadata, signers = roles[role], self._keys.signers()
        counted = list(role_keys(role, roles).keyids)
        if role == "root" and before is not None:
            counted += before.roles["root"].keyids
        for keyid in counted:
            # An invalid signature by the same key is replaced.
            if keyid in signers and not is_signed(metadata, signers[keyid].public_key):
                try:
                    metadata.sign(signers[keyid], append=True)
                except UnsignedMetadataError as error:  # no such token there, or a wrong PIN
                    reason = error.__cause__ or error
                    text = str(reason) or type(reason).__name__
                    raise ReleaseToolError(f"key {keyid}: {text}") from error

    def publish(self, published: Roles, chosen: Roles) -> None:
        """Write ``chosen`` with a new snapshot and timestamp.

        Raises:
            ReleaseToolError: the online keys are not available; nothing was written.
        """
        roles = published | chosen
        snapshot = Metadata(copy.deepcopy(roles["snapshot"].signed))
        timestamp = Metadata(copy.deepcopy(roles["timestamp"].signed))
        for metadata in (snapshot, timestamp):
            metadata.signed.version += bool(published)
            metadata.signed.expires = lifetimes.expiry(metadata.signed.type)
        for role, metadata in roles.items():
            if role not in {"root", *ONLINE_ROLES}:
                snapshot.signed.meta[f"{role}.json"] = MetaFile(metadata.signed.version)
        timestamp.signed.snapshot_meta = MetaFile(snapshot.signed.version)
        timestamp.signed.unrecognized_fields[SIGNED_AT] = lifetimes.now().strftime(TIME_FORMAT)
        roles |= {"snapshot": snapshot, "timestamp": timestamp}
        for role in ONLINE_ROLES:
            self.sign(role, roles, None)
            if (why := missing(role, roles, None)) is not None:
                hint = f"no such key in {self._keys.folder}"
                raise ReleaseToolError(f"{role}: {why} ({hint}); publish where the online keys are")
        self._store.write({**chosen, "snapshot": snapshot, "timestamp": timestamp})
