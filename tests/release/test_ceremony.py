"""Keys that several people hold: thresholds, staged signatures, rotation, and how devices follow."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ota.errors import ContentError
from ota.trust.client import TrustSettings, find_target
from ota.trust.target import Target
from ota.trust.terms import Terms
from release.errors import ReleaseToolError
from release.keys import KeyRing, read_public_key, write_public_key
from release.package_files import AddedTarget
from release.passphrase import PASSPHRASE_ENV, Passphrase
from release.repository import Repository
from release.role_keys import KeyCount
from release.tuf_types import Metadata
from wire.errors import WireError

PRODUCT = "story-machine"


class Ceremony:
    """A repository whose root needs two of three holders and whose targets role needs two of two."""

    def __init__(self, server: Any, folder: Path, helpers: Any) -> None:
        self.server, self.folder, self.helpers = server, folder, helpers
        everything = Repository(server.root, folder / "all")
        everything.create({"root": KeyCount(3, 2), "targets": KeyCount(2, 2)})
        for holder, names in {
            "ann": ["root-1", "targets-1"],
            "ben": ["root-2", "targets-2"],
            "cem": ["root-3"],
            "online": ["snapshot", "timestamp"],
        }.items():
            (folder / holder).mkdir()
            for name in names:
                (folder / "all" / f"{name}.pem").rename(folder / holder / f"{name}.pem")
        self.shipped = folder / "shipped-root.json"
        shutil.copy(everything.root_file, self.shipped)

    def of(self, holder: str) -> Repository:
        return Repository(self.server.root, self.folder / holder)

    def package(self, version: str) -> Path:
        made: Path = self.helpers.make_package(self.folder / f"{version}.tar.gz", version)
        return made

    def add(self, version: str, *holders: str) -> AddedTarget:
        """Add a package, sign it and publish it."""
        added = self.of("online").add(self.package(version), PRODUCT, version)[0]
        for holder in holders:
            self.of(holder).sign()
        self.of("online").publish()
        return added

    def device(self, added: AddedTarget, running: str = "1.0.0") -> Target:
        """Return the result of an order on a machine with the first root."""
        settings = TrustSettings(PRODUCT, self.server.url, self.shipped, self.folder / "metadata")
        order = self.helpers.order_for(added, self.server.url)
        return find_target(settings, order, running, threading.Event())


@pytest.fixture
def ceremony(server: Any, tmp_path: Path, helpers: Any) -> Ceremony:
    return Ceremony(server, tmp_path, helpers)


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


def test_hold_promote_and_revoke(ceremony: Ceremony) -> None:
    def edit(change: Callable[[Terms], Terms]) -> None:
        online = ceremony.of("online")
        online.edit_terms(PRODUCT, "1.1.0", change)
        for holder in ("ann", "ben"):
            ceremony.of(holder).sign()
        online.publish()

    added = ceremony.add("1.1.0", "ann", "ben")
    edit(lambda terms: replace(terms, channels=()))
    with pytest.raises(ContentError, match="not offered"):
        ceremony.device(added)
    edit(lambda terms: replace(terms, channels=("stable",)))
    assert ceremony.device(added).version == "1.1.0"
    edit(lambda terms: replace(terms, revoked="deletes songs"))
    with pytest.raises(ContentError, match=r'revoked: version 1\.1\.0: "deletes songs"'):
        ceremony.device(added)
    with pytest.raises(ReleaseToolError, match="not in the repository"):
        ceremony.of("online").edit_terms(PRODUCT, "9.9", lambda terms: terms)


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


def test_verify_finds_what_a_machine_from_a_drawer_would_refuse(ceremony: Ceremony) -> None:
    """Only the newest state is valid; the chain to it, or a file's version, is not."""
    online, folder = ceremony.of("online"), ceremony.server.root / "metadata"
    ceremony.add("1.1.0", "ann", "ben")
    online.change_keys("timestamp", 1, None)
    for holder in ("ann", "ben"):
        ceremony.of(holder).sign()
    online.publish()
    assert online.verify()["valid"]
    first, second = (folder / "1.root.json").read_bytes(), (folder / "2.root.json").read_bytes()
    (folder / "1.root.json").unlink()
    with pytest.raises(ReleaseToolError, match=r"1\.root\.json: not there"):
        online.verify()
    (folder / "1.root.json").write_bytes(second)
    with pytest.raises(ReleaseToolError, match=r"1\.root\.json: is version 2"):
        online.verify()
    (folder / "1.root.json").write_bytes(first.replace(b'"threshold":2', b'"threshold":1'))
    with pytest.raises(ReleaseToolError, match=r"1\.root\.json: root was signed by 0/1 keys"):
        online.verify()
    (folder / "1.root.json").write_bytes(first)
    (folder / "2.targets.json").write_bytes((folder / "1.targets.json").read_bytes())
    with pytest.raises(ReleaseToolError, match="targets: is version 1, expected 2"):
        online.verify()


def test_encrypted_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret"
    secret.write_text("correct horse\nnot this line\n")
    made = KeyRing(tmp_path / "keys", Passphrase(secret)).make("root")
    path = tmp_path / "keys/root.pem"
    assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(KeyRing(tmp_path / "keys", Passphrase(secret)).signers()) == [made.keyid]
    with pytest.raises(ReleaseToolError, match="is encrypted; give --passphrase-file"):
        KeyRing(tmp_path / "keys").signers()
    monkeypatch.setenv(PASSPHRASE_ENV, "wrong")
    with pytest.raises(ReleaseToolError, match="wrong passphrase") as caught:
        KeyRing(tmp_path / "keys").signers()
    assert "wrong" not in str(caught.value).replace("wrong passphrase", "")
    monkeypatch.setenv(PASSPHRASE_ENV, "correct horse")
    assert list(KeyRing(tmp_path / "keys").signers()) == [made.keyid]
    monkeypatch.delenv(PASSPHRASE_ENV)
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return "correct horse"

    assert list(KeyRing(tmp_path / "keys", Passphrase(ask=ask)).signers()) == [made.keyid]
    assert asked == ["Passphrase of root.pem: "]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff\xfesecret\n", r"not UTF-8 text \(byte 0\)"),
        (b"secret" * 200, "a passphrase of 1200 bytes, expected at most 1023"),
        (b"\nsecret", "its first line is empty"),
    ],
    ids=["not UTF-8", "too long", "empty"],
)
def test_what_is_no_passphrase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, reason: str
) -> None:
    """An error of one line without the passphrase, and no key; from a file and from the environment."""
    file = tmp_path / "passphrase"
    file.write_bytes(data)
    ways = [Passphrase(file)]
    if not data.startswith(b"\n"):
        monkeypatch.setenv(PASSPHRASE_ENV, os.fsdecode(data.strip()))
        ways.append(Passphrase())
    for way in ways:
        with pytest.raises(ReleaseToolError, match=reason) as caught:
            KeyRing(tmp_path / "keys", way).make("root")
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None
    assert not (tmp_path / "keys").exists()


def test_a_new_key_is_encrypted_with_what_is_typed(tmp_path: Path) -> None:
    """It is entered twice, for all the keys of a command together, and not again when they are used."""
    asked: list[str] = []

    def typing(*answers: str) -> Passphrase:
        left = list(answers)

        def ask(prompt: str) -> str:
            asked.append(prompt)
            if not left:
                raise EOFError
            return left.pop(0)

        return Passphrase(ask=ask)

    ring = KeyRing(tmp_path / "keys", typing("horse", "horse"))
    keys = {ring.make("root").keyid, ring.make("targets").keyid}
    assert set(ring.signers()) == keys
    assert asked == ["New passphrase for root.pem (nothing: not encrypted): ", "The same again: "]
    for name in ("root", "targets"):
        assert b"ENCRYPTED" in (tmp_path / f"keys/{name}.pem").read_bytes()
    for answers, reason in ((("horse", "hose"), "differ; no key was made"), ((), "was typed")):
        with pytest.raises(ReleaseToolError, match=reason):
            KeyRing(tmp_path / "none", typing(*answers)).make("root")
    assert not (tmp_path / "none").exists()
    KeyRing(tmp_path / "plain", typing("")).make("root")
    assert b"ENCRYPTED" not in (tmp_path / "plain/root.pem").read_bytes()


NO_NAMES = ("../out", "", ".", "a/b", "ann.pub", "x" * 65, "ann\n", "\udcff")


@pytest.mark.parametrize("name", NO_NAMES, ids=ascii)
def test_what_is_no_name_of_a_key(tmp_path: Path, name: str) -> None:
    """A key outside its folder, or one that no command would find again."""
    with pytest.raises(WireError, match="key name: got"):
        KeyRing(tmp_path / "keys").make(name)
    with pytest.raises(WireError, match="key name: got"):
        KeyRing(tmp_path / "keys").adopt_token(name, "label", 2)
    assert not list(tmp_path.iterdir())


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


def test_a_root_that_machines_would_not_look_for_is_not_published(ceremony: Ceremony) -> None:
    root: Any = Metadata.from_bytes(ceremony.of("online").root_file.read_bytes())
    root.signed.version += 5
    ceremony.of("online").store.stage({"root": Metadata(root.signed)})
    for holder in ("ann", "ben"):
        ceremony.of(holder).sign()
    published = ceremony.of("online").publish()
    assert published.staged == {"root": "is version 6, expected 2"}
    assert ceremony.of("online").verify()["valid"]


def test_the_same_package_again_tells_what_it_waits_for_and_the_terms_that_stand(
    ceremony: Ceremony,
) -> None:
    online, package = ceremony.of("online"), ceremony.package("1.1.0")
    hold = Terms(PRODUCT, "1.1.0", channels=())
    online.add(package, PRODUCT, "1.1.0", hold)
    outcome = online.add(package, PRODUCT, "1.1.0", hold)[1]
    assert outcome.staged == {"targets": "targets was signed by 0/2 keys"}
    assert outcome.kept == {}
    outcome = online.add(package, PRODUCT, "1.1.0", replace(hold, data_budget=5))[1]
    assert outcome.kept == hold.to_json()


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"keyid": 5, "key": []}', b"\xff"])
def test_a_tokens_file_that_is_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "ann.token.json").write_bytes(data)
    with pytest.raises(ReleaseToolError, match=r"ann\.token\.json: not what `key new --token`"):
        KeyRing(tmp_path).signers()


def test_public_keys_are_handed_over_as_pem(tmp_path: Path) -> None:
    key = KeyRing(tmp_path / "keys").make("ann")
    public = tmp_path / "ann.pub.pem"
    write_public_key(public, key)
    assert read_public_key(public).keyid == key.keyid
    public.write_text("none")
    with pytest.raises(ReleaseToolError, match="not a PEM public key"):
        read_public_key(public)


def test_names_of_further_keys(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys")
    names = []
    for _number in range(3):
        names.append(ring.free_name("root"))
        ring.make(names[-1])
    assert names == ["root", "root-2", "root-3"]
