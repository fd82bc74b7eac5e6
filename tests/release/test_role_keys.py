"""Roles that products get for themselves, and changes of keys that are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ota.errors import ContentError
from release.errors import ReleaseToolError
from release.keys import KeyRing
from release.repository import Repository
from release.role_keys import KeyCount
from tests.release.ceremony import PRODUCT, Ceremony
from wire.errors import WireError


def test_a_product_gets_a_role_of_its_own(ceremony: Ceremony) -> None:
    """From then on its releases need neither root nor targets keys; existing packages move along."""
    before = ceremony.add("1.1.0", "ann", "ben")
    key = KeyRing(ceremony.folder / "online").make("product")
    ceremony.of("online").change_keys(PRODUCT, [key])
    for name in ("ann", "ben"):
        ceremony.of(name).sign()
    assert set(ceremony.of("online").publish().published) == {"targets", PRODUCT}
    added = ceremony.add("1.2.0")
    assert ceremony.device(added).version == "1.2.0"
    assert ceremony.device(before).version == "1.1.0"
    shown: Any = ceremony.of("online").show()
    assert shown["roles"][PRODUCT]["keys"] == [key.keyid]
    assert [target["version"] for target in shown["targets"]] == ["1.1.0", "1.2.0"]
    assert ceremony.of("online").verify()["targets"] == 2


def test_a_products_key_signs_for_no_other_product(ceremony: Ceremony) -> None:
    key = KeyRing(ceremony.folder / "online").make("toaster")
    ceremony.of("online").change_keys("toaster", [key])
    for name in ("ann", "ben"):
        ceremony.of(name).sign()
    ceremony.of("online").publish()
    added = ceremony.of("online").add(ceremony.package("1.1.0"), PRODUCT, "1.1.0")[0]
    with pytest.raises(ContentError, match="unknown target"):
        ceremony.device(added)


def test_keys_that_cannot_be(ceremony: Ceremony, tmp_path: Path) -> None:
    online = ceremony.of("online")
    with pytest.raises(ReleaseToolError, match="timestamp: has no key nosuch"):
        online.change_keys("timestamp", [], ["nosuch"])
    with pytest.raises(ReleaseToolError, match="threshold 3 of 1 keys cannot be reached"):
        online.change_keys("timestamp", [], (), threshold=3)
    with pytest.raises(ReleaseToolError, match="threshold 0 of 1 keys cannot be reached"):
        online.change_keys("timestamp", [], (), threshold=0)
    for role in ("root", "targets"):
        with pytest.raises(ReleaseToolError, match=f"{role}: threshold 2 of 1 keys"):
            Repository(tmp_path / "r", tmp_path / "k").create({role: KeyCount(1, 2)})
    assert not (tmp_path / "r").exists()
    assert not (tmp_path / "k").exists()
    assert online.show()["staged"] == {}


def test_a_refused_change_of_keys_makes_none(ceremony: Ceremony, tmp_path: Path) -> None:
    online, folder = ceremony.of("online"), ceremony.folder / "online"
    before = sorted(folder.iterdir())
    with pytest.raises(ReleaseToolError, match="threshold 9 of 4 keys cannot be reached"):
        online.change_keys("root", 1, threshold=9)
    for role in ("../evil", "", "x/../y"):
        with pytest.raises(WireError, match="product: got"):
            online.change_keys(role, 1)
    with pytest.raises(ReleaseToolError, match="no such folder"):
        Repository(tmp_path / "none", folder).change_keys("root", 1)
    (folder / "timestamp.pem").chmod(0o640)  # equivalent to a key with another passphrase
    with pytest.raises(ReleaseToolError, match="chmod 600 it"):
        ceremony.of("online").change_keys(PRODUCT, 1)
    assert sorted(folder.iterdir()) == before
    assert not list(ceremony.folder.rglob("evil*"))
