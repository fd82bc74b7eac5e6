"""The files of the home network's clients: who may read them, damage, and a power cut at each write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import base.files
from agent.local.keyring import Keyring, KeyringError, UnknownClientError
from wire.errors import WireError

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
CLIENTS_LIMIT = 16


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "lan")


def test_clients_are_added_renewed_and_removed(keyring: Keyring, tmp_path: Path) -> None:
    assert keyring.read() == []
    phone = keyring.add("phone", [])
    script = keyring.add("script", [phone.client_id])
    keyring.reserve("script", script, 1024)
    assert [(each.name, each.keys, each.number) for each in keyring.read()] == [
        ("phone", phone, 0), ("script", script, 1024),
    ]  # fmt: skip
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "lan").iterdir()}
    assert modes["phone.keys"] == 0o400
    assert modes["phone.number"] == 0o600
    assert (tmp_path / "lan").stat().st_mode & 0o077 == 0
    renewed = keyring.renew("script", [])
    assert [(each.keys, each.number) for each in keyring.read()] == [(phone, 0), (renewed, 0)]
    assert renewed.client_id != script.client_id
    keyring.remove("phone")
    keyring.remove("script")
    assert list((tmp_path / "lan").iterdir()) == []


def test_what_cannot_be_done_is_said(keyring: Keyring) -> None:
    keyring.add("phone", [])
    with pytest.raises(KeyringError, match="phone has keys already: renew them"):
        keyring.add("phone", [])
    for act in (keyring.renew, lambda name, _taken: keyring.remove(name)):
        with pytest.raises(UnknownClientError, match="tablet: no client"):
            act("tablet", [])
        with pytest.raises(WireError, match="name: got "):
            act("../phone", [])
    for number in range(1, CLIENTS_LIMIT):
        keyring.add(f"phone{number}", [])
    with pytest.raises(KeyringError, match="16 clients have keys already"):
        keyring.add("another", [])


@pytest.mark.parametrize(
    ("name", "data", "fault"),
    [
        ("phone.number", None, "No such file"),
        ("phone.number", b"", "number: not JSON"),
        ("phone.number", b'{"client":"000000","below":5}', 'client: got "000000"'),
        ("phone.number", b'{"client":"%s","below":-1}', "below: got -1"),
        ("phone.number", b'{"client":"%s","below":1099511627777}', "below: got 1099511627777"),
        ("phone.keys", b"{}", "sender-id_hex: missing"),
        ("phone.keys", b"\0" * 99, "keys of the home network: not JSON"),
        ("phone.keys", b"x" * 9000, "more than 4096 bytes"),
    ],
)  # fmt: skip
def test_damaged_files_are_no_reason_to_begin_with_number_zero(
    keyring: Keyring, tmp_path: Path, name: str, data: bytes | None, fault: str
) -> None:
    keys = keyring.add("phone", [])
    path = tmp_path / "lan" / name
    path.unlink()
    if data is not None:
        path.write_bytes(data.replace(b"%s", keys.client_id.hex().encode()))
    (entry,) = keyring.read()
    assert (entry.name, entry.keys) == ("phone", None)
    assert fault in entry.fault
    assert keys.secret.hex() not in entry.fault
    assert keyring.renew("phone", []) == keyring.read()[0].keys


@pytest.mark.parametrize("name", ["phone.keys", "phone.number"])
@pytest.mark.parametrize("thing", ["empty folder", "folder", "link to nothing", "pipe"])
def test_what_is_no_file_in_a_files_place_is_a_fault_that_renewing_mends(
    keyring: Keyring, tmp_path: Path, name: str, thing: str
) -> None:
    def put() -> Path:
        path = tmp_path / "lan" / name
        path.unlink()
        if thing == "link to nothing":
            path.symlink_to("nothing")
        elif thing == "pipe":
            os.mkfifo(path)
        else:
            path.mkdir()
        if thing == "folder":
            (path / "somebody's").write_text("kept")
        return path

    keyring.add("phone", [])
    put()
    (entry,) = keyring.read()
    assert (entry.keys, bool(entry.fault)) == (None, True)
    with pytest.raises(KeyringError, match="has keys already: renew them"):
        keyring.add("phone", [])
    made = keyring.renew("phone", [])
    assert [each.keys for each in keyring.read()] == [made]
    put()
    keyring.remove("phone")
    assert keyring.read() == []
    if thing == "folder":
        kept = sorted((tmp_path / "lan").glob("phone.*.folder-*/somebody's"))
        assert [path.parent.suffix for path in kept] == [".folder-1", ".folder-2"]


def test_a_power_cut_while_keys_are_renewed_uses_no_number_twice(
    keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old keys with a number that begins anew would be the worst of all."""
    keys = keyring.add("phone", [])
    keyring.reserve("phone", keys, 5000)
    real, left = base.files.write_atomically, [1]

    def cut(path: Path, data: bytes, *, mode: int) -> None:
        if not left:
            raise OSError(5, "power cut")
        left.pop()
        real(path, data, mode=mode)

    monkeypatch.setattr("agent.local.keyring.write_atomically", cut)
    with pytest.raises(OSError, match="power cut"):
        keyring.renew("phone", [])
    (entry,) = keyring.read()
    assert entry.keys is None
    assert "the id of these keys" in entry.fault


def test_other_files_in_the_folder_are_nothing(keyring: Keyring, tmp_path: Path) -> None:
    keyring.add("phone", [])
    (tmp_path / "lan" / ".phone.keys.tmp").write_text("half")
    (tmp_path / "lan" / "notes").write_text("x")
    for name in [f"A{number}.keys" for number in range(CLIENTS_LIMIT)] + ["b\udcffad.keys"]:
        (tmp_path / "lan" / name).touch()  # before "phone" in order
    assert [entry.name for entry in keyring.read()] == ["phone"]
