"""The example for the home network, with keys that are damaged: one line that says which and what to do."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.extras import require
from wire.lan_keys import Keys

EXAMPLE = Path(__file__).parents[2] / "examples/lan.py"
GOOD = {"name": "phone", "uri": "coap://127.0.0.1:9", **Keys.make([]).to_json()}
SECRET = str(GOOD["secret_hex"])


def without(name: str, value: object = None) -> bytes:
    changed = {**GOOD, name: value}
    if value is None:
        del changed[name]
    return json.dumps(changed).encode()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "No such file or directory: put there what story-agent lan add NAME has printed"),
        (b"", "damaged: expected one JSON object"),
        (json.dumps(GOOD).encode()[:60], "damaged: expected one JSON object"),
        (b"\xff\xfe", "damaged: expected one JSON object"),
        (b"[" * 100_000, "damaged: expected one JSON object"),
        (b"[]", "damaged: expected one JSON object"),
        (b"null", "damaged: expected one JSON object"),
        (without("uri"), "damaged: uri: expected a string"),
        (without("uri", 5), "damaged: uri: expected a string"),
        (without("uri", "http://x"), "damaged: uri: expected coap://ADDRESS:PORT"),
        (without("secret_hex"), "damaged: secret_hex: expected a string"),
        (without("secret_hex", f"{SECRET[:-1]}g"), "damaged: secret_hex: expected hexadecimal digits"),
        (without("secret_hex", SECRET[:-1]), "damaged: secret_hex: expected hexadecimal digits"),
        (without("sender-id_hex", "ab" * 20), "damaged (Sender or Recipient ID too long"),
        (without("algorithm", "none"), "damaged ("),
        (without("kdf-hashfun", ["x"]), "damaged ("),
    ],
)  # fmt: skip
def test_damaged_keys_are_told_in_one_line_without_the_secret(
    data: bytes | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require("lakers")
    if data is not None:
        (tmp_path / "secret.json").write_bytes(data)
    told = run(monkeypatch, tmp_path)
    assert said in told
    assert "\n" not in told
    assert SECRET not in told
    if data is not None:
        assert "story-agent lan renew NAME" in told


@pytest.mark.parametrize(
    "data", [b"{", b"{}", b"[]", b'{"next-to-send": "x", "received": "unknown"}']
)
def test_numbers_that_are_damaged_are_told_too(
    data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require("lakers")
    (tmp_path / "secret.json").write_text(json.dumps(GOOD))
    (tmp_path / "sequence.json").write_bytes(data)
    assert "damaged (" in run(monkeypatch, tmp_path)


def test_a_file_in_place_of_the_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require("lakers")
    (tmp_path / "keys").touch()
    assert "Not a directory" in run(monkeypatch, tmp_path / "keys")


def run(monkeypatch: pytest.MonkeyPatch, keys: Path) -> str:
    """Run the script, which ends by itself, and return what it says."""
    monkeypatch.setattr(sys, "argv", ["lan.py", str(keys), "GET", "volume"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(EXAMPLE))
    code: Any = ended.value.code
    return str(code)
