"""A client's keys: as JSON and back, and what is refused, without the secret in any message."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wire.errors import WireError
from wire.lan_keys import SERVER_ID, Keys, check_name, parse_keys

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
CLIENT_BYTES = 3


def test_keys_go_to_json_and_back_in_the_form_of_aiocoap() -> None:
    keys = Keys.make([])
    assert parse_keys(keys.dump()) == keys
    told = json.loads(keys.dump())
    assert set(told) == {
        "algorithm", "kdf-hashfun", "sender-id_hex", "recipient-id_hex", "secret_hex", "salt_hex",
    }  # fmt: skip
    assert (len(keys.client_id), len(keys.secret), keys.server_id) == (CLIENT_BYTES, 16, SERVER_ID)
    assert keys.secret.hex() not in repr(keys)
    assert Keys.make([]) != Keys.make([])


def test_no_two_clients_have_one_id(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([b"abc", b"abc", b"abd", b"secret", b"salt"])
    monkeypatch.setattr("secrets.token_bytes", lambda _count: next(drawn))
    assert Keys.make([b"abc"]).client_id == b"abd"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sender-id_hex", ""), ("sender-id_hex", "00" * 8), ("sender-id_hex", "0"),
        ("sender-id_hex", None), ("secret_hex", "zz" * 16), ("secret_hex", "0f" * 15),
        ("secret_hex", "0F" * 16), ("secret_hex", 7), ("salt_hex", "0f" * 65), ("recipient-id_hex", ""),
    ],
)  # fmt: skip
def test_what_is_damaged_is_named_and_not_shown(name: str, value: Any) -> None:
    source = Keys.make([]).to_json() | {name: value}
    with pytest.raises(WireError) as caught:
        parse_keys(json.dumps(source).encode())
    assert str(caught.value).startswith(f"{name}: ")
    assert str(source["secret_hex"])[:8] not in str(caught.value)


@pytest.mark.parametrize("name", ["phone", "a", "0", "mums-phone_2", "x" * 32])
def test_names_that_are_taken(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "-a", "_a", "A", "a b", "a/b", "..", "手机", "a\n", "x" * 33, "a.b"]
)
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(WireError, match="name: got "):
        check_name(name)
