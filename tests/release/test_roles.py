"""What roles lack, and which of them may be published together: decisions on metadata in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from release.errors import ReleaseToolError
from release.roles import Roles, choose, is_signed, lacks_by_role, live_roles, missing, role_keys
from release.tuf_types import CryptoSigner, Metadata, Root, Snapshot, Targets, Timestamp

EXPIRES = datetime(2030, 1, 1, tzinfo=UTC)


class Holder:
    """A key in memory."""

    def __init__(self) -> None:
        self.signer = CryptoSigner.generate_ed25519()

    @property
    def key(self) -> Any:
        return self.signer.public_key

    def sign(self, *roles: Metadata[Any]) -> None:
        for metadata in roles:
            metadata.sign(self.signer, append=True)


def new_root(version: int, root: Sequence[Holder], targets: Sequence[Holder]) -> Metadata[Any]:
    """A root whose roles need all of their holders; it signs for all other roles with root's."""
    signed = Root(version=version, expires=EXPIRES)
    for role in ("root", "targets", "snapshot", "timestamp"):
        holders = targets if role == "targets" else root
        for holder in holders:
            signed.add_key(holder.key, role)
        signed.roles[role].threshold = len(holders)
    return Metadata(signed)


@pytest.fixture
def ann() -> Holder:
    return Holder()


@pytest.fixture
def ben() -> Holder:
    return Holder()


@pytest.fixture
def published(ann: Holder, ben: Holder) -> Roles:
    roles: Roles = {
        "root": new_root(1, [ann], [ben]),
        "targets": Metadata(Targets(expires=EXPIRES)),
        "snapshot": Metadata(Snapshot(expires=EXPIRES)),
        "timestamp": Metadata(Timestamp(expires=EXPIRES)),
    }
    ann.sign(roles["root"])
    ben.sign(roles["targets"])
    return roles


def next_targets() -> Metadata[Any]:
    return Metadata(Targets(version=2, expires=EXPIRES))


def test_a_role_lacks_signatures_until_its_threshold(published: Roles, ben: Holder) -> None:
    staged: Roles = {"targets": next_targets()}
    assert choose(published, staged) == ({}, {"targets": "targets was signed by 0/1 keys"})
    assert not is_signed(staged["targets"], ben.key)
    ben.sign(staged["targets"])
    assert is_signed(staged["targets"], ben.key)
    assert choose(published, staged) == (staged, {})
    assert lacks_by_role(published, staged) == {"targets": "ready to be published"}


def test_a_new_root_satisfies_the_one_before(published: Roles, ann: Holder, ben: Holder) -> None:
    carl = Holder()
    roles = published | {"root": new_root(2, [carl], [ben])}
    carl.sign(roles["root"])
    before = published["root"].signed
    assert missing("root", roles, None) is None
    assert missing("root", roles, before) == "root was signed by 0/1 keys of the root before"
    ann.sign(roles["root"])
    assert missing("root", roles, before) is None
    roles["root"].signed.version = 3
    assert missing("root", roles, before) == "is version 3, expected 2"


def test_a_root_waits_for_the_roles_that_its_new_keys_sign(published: Roles, ann: Holder) -> None:
    carl = Holder()
    staged: Roles = {"root": new_root(2, [ann], [carl])}
    ann.sign(staged["root"])
    chosen, lacking = choose(published, staged)
    assert chosen == {}
    assert lacking["root"].startswith("targets is not signed for it yet")
    staged["targets"] = next_targets()
    carl.sign(staged["targets"])
    assert choose(published, staged) == (staged, {})


def test_staged_roles_that_are_old_or_that_nobody_names_do_not_count(published: Roles) -> None:
    old = Metadata(Targets(version=1, expires=EXPIRES))
    staged: Roles = {"targets": old, "toaster": next_targets()}
    assert live_roles(published, staged) == {}
    staged["targets"] = next_targets()
    assert set(live_roles(published, staged)) == {"targets"}
    with pytest.raises(ReleaseToolError, match="toaster: neither root nor targets names it"):
        role_keys("toaster", published)
