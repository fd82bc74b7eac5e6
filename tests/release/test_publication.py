"""Thresholds, staged signatures and rotation of keys, and what devices make of them."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from ota.errors import ContentError
from release.keys import KeyRing
from release.tuf_types import Metadata
from tests.release.ceremony import PRODUCT, Ceremony


def test_a_release_is_published_when_the_threshold_has_signed(ceremony: Ceremony) -> None:
    online = ceremony.of("online")
    added, outcome = online.add(ceremony.package("1.1.0"), PRODUCT, "1.1.0")
    assert outcome.published == ()
    assert outcome.staged == {"targets": "targets was signed by 0/2 keys"}
    assert ceremony.of("ann").sign().staged == {"targets": "targets was signed by 1/2 keys"}
    assert ceremony.of("ann").sign().staged == {"targets": "targets was signed by 1/2 keys"}
    assert online.publish().published == ()
    with pytest.raises(ContentError, match="unknown target"):
        ceremony.device(added)
    assert ceremony.of("ben").sign().staged == {"targets": "ready to be published"}
    published = ceremony.of("ben").publish()
    assert "publish where the online keys are" in published.staged["targets"]
    assert online.publish().published == ("targets",)
    assert ceremony.device(added).version == "1.1.0"
    assert online.show()["staged"] == {}
    assert online.verify()["valid"]


def test_changes_of_a_staged_role_add_up_and_need_new_signatures(ceremony: Ceremony) -> None:
    ceremony.of("ann").add(ceremony.package("1.1.0"), PRODUCT, "1.1.0")
    second = ceremony.of("ben").add(ceremony.package("1.2.0"), PRODUCT, "1.2.0")[0]
    assert "1/2" in str(ceremony.of("ben").sign().staged["targets"])
    ceremony.of("ann").sign()
    assert ceremony.of("online").publish().published == ("targets",)
    assert ceremony.device(second).version == "1.2.0"
    assert ceremony.of("online").verify()["targets"] == 2


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
def test_devices_follow_a_rotation(ceremony: Ceremony, role: str) -> None:
    before = ceremony.add("1.1.0", "ann", "ben")
    assert ceremony.device(before).version == "1.1.0"
    holder = "online" if role in {"snapshot", "timestamp"} else "dora"
    count = {"root": 2, "targets": 2}.get(role, 1)
    ring = KeyRing(ceremony.folder / holder)
    keys = [ring.make(f"new-{role}-{number}") for number in range(count)]
    outcome = ceremony.of("online").change_keys(role, keys, None)
    assert outcome.published == ()
    for name in ("ann", "cem", holder):
        ceremony.of(name).sign()
    published = ceremony.of("online").publish()
    assert published.staged == {}
    assert "root" in published.published
    added = ceremony.add("1.2.0", *({"root": ("ann", "ben"), "targets": ("dora",)}.get(role, ("ann", "ben"))))  # fmt: skip
    assert ceremony.device(added).version == "1.2.0"
    shutil.rmtree(ceremony.folder / "metadata")  # a machine that was switched off all the time
    assert ceremony.device(added).version == "1.2.0"
    assert ceremony.of("online").verify()["valid"]


def test_a_new_root_waits_for_the_threshold_of_the_old(ceremony: Ceremony) -> None:
    new = KeyRing(ceremony.folder / "dora").make("new-root")
    ceremony.of("online").change_keys("root", [new], None, threshold=1)
    assert ceremony.of("dora").sign().staged == {
        "root": "root was signed by 0/2 keys of the root before"
    }
    ceremony.of("cem").sign()
    assert ceremony.of("online").publish().published == ()
    ceremony.of("ann").sign()
    assert ceremony.of("online").publish().published == ("root",)


def test_a_rotation_of_targets_waits_for_what_its_keys_have_to_sign(ceremony: Ceremony) -> None:
    new = KeyRing(ceremony.folder / "dora").make("new-targets")
    ceremony.of("online").change_keys("targets", [new], None, threshold=1)
    for name in ("ann", "ben"):
        staged = ceremony.of(name).sign().staged
    assert staged["root"].startswith("targets is not signed for it yet")
    assert ceremony.of("online").publish().published == ()
    ceremony.of("dora").sign()
    assert set(ceremony.of("online").publish().published) == {"root", "targets"}


def test_a_signature_that_does_not_hold_is_given_anew(ceremony: Ceremony) -> None:
    """Damaged in transit, or put there so that the holder's own signature does not count."""
    ceremony.of("online").add(ceremony.package("1.1.0"), PRODUCT, "1.1.0")
    ceremony.of("ann").sign()
    staged = ceremony.server.root / "staged/targets.json"
    metadata = json.loads(staged.read_bytes())
    metadata["signatures"][0]["sig"] = "00" * 64
    staged.write_text(json.dumps(metadata))
    assert "0/2" in ceremony.of("online").publish().staged["targets"]
    assert "1/2" in ceremony.of("ann").sign().staged["targets"]


def test_a_root_that_machines_would_not_look_for_is_not_published(ceremony: Ceremony) -> None:
    root: Any = Metadata.from_bytes(ceremony.of("online").root_file.read_bytes())
    root.signed.version += 5
    ceremony.of("online").store.stage({"root": Metadata(root.signed)})
    for holder in ("ann", "ben"):
        ceremony.of(holder).sign()
    published = ceremony.of("online").publish()
    assert published.staged == {"root": "is version 6, expected 2"}
    assert ceremony.of("online").verify()["valid"]
