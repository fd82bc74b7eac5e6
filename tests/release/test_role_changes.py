"""What a signer is shown before signing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from release.keys import KeyRing
from release.tuf_types import Metadata
from tests.release.ceremony import PRODUCT, Ceremony


def test_who_signs_sees_what_they_sign(ceremony: Ceremony) -> None:
    """Anyone who has had the folder may have staged anything: here, a root of their own."""
    online = ceremony.of("online")
    assert online.show()["changes"] == {}
    thief = KeyRing(ceremony.folder / "thief").make("thief")
    old: Any = Metadata.from_bytes(online.root_file.read_bytes())
    old.signed.version += 1
    old.signed.add_key(thief, "root")
    old.signed.roles["root"].threshold = 1
    online.store.stage({"root": Metadata(old.signed)})
    shown: Any = online.show()
    lines = shown["changes"]["root"]
    assert lines[0].startswith("version 1 -> 2, until ")
    assert lines[1:] == [f"root gets key {thief.keyid}", "root threshold: 2 -> 1"]
    assert ceremony.of("ann").sign().to_json()["changes"] == {"root": lines}


def test_who_signs_sees_that_a_known_id_stands_for_another_key(ceremony: Ceremony) -> None:
    online = ceremony.of("online")
    thief = KeyRing(ceremony.folder / "thief").make("thief")
    root: Any = Metadata.from_bytes(online.root_file.read_bytes())
    root.signed.version += 1
    known = root.signed.roles["targets"].keyids[0]
    root.signed.keys[known].keyval["public"] = thief.to_dict()["keyval"]["public"]
    online.store.stage({"root": Metadata(root.signed)})
    shown: Any = online.show()
    assert shown["changes"]["root"][1:] == [f"key {known} is another key than its id says"]


def test_changes_of_releases_and_products_are_shown(ceremony: Ceremony) -> None:
    online = ceremony.of("online")
    added = ceremony.add("1.1.0", "ann", "ben")
    online.edit_terms(PRODUCT, "1.1.0", lambda terms: replace(terms, revoked="deletes songs"))
    second = online.add(ceremony.package("1.2.0"), PRODUCT, "1.2.0")[0]
    shown: Any = online.show()
    version, revoked, new = shown["changes"]["targets"]
    assert version.startswith("version 2 -> 3, until ")
    assert revoked.startswith(f"target {added.target}: {{")
    assert "deletes songs" in revoked.partition(" -> ")[2]
    assert new.startswith(f"target {second.target}: none -> {{")
    assert second.sha256 in new
    outcome = online.change_keys("toaster", 1)
    shown = online.show()
    lines = shown["changes"]["targets"]
    assert f"toaster gets key {outcome.keys[0]}" in lines
    assert 'toaster paths: none -> ["toaster/*"]' in lines
    assert shown["changes"]["toaster"][0].startswith("version none -> 1, until ")
