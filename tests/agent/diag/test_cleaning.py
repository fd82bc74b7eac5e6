"""What is taken out of texts, and what stays."""

from __future__ import annotations

import json
import os
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.diag.cleaning import Cleaner, secret_words, titles_of, without_family

STATUS = {
    "uuid": "u", "play": {"title": "Geheim", "state": "playing", "queue": [[1, "Noch eins"]], "count": 2},
    "listening": {"state": "idle", "wake": {"words": ["小故事"]}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("token 0123456789abcdef0123456789ABCDEF!", "token [hidden]!"),
        ("sha256 " + "ab" * 32, "sha256 " + "ab" * 32),
        ('SSID="My Net" up', "SSID=[hidden] up"),
        ("ssid: MyNet, psk=abc", "ssid: [hidden], psk=[hidden]"),
        ("-----BEGIN EC PRIVATE KEY-----\nabc\n-----END EC PRIVATE KEY-----\nx", "[hidden]\nx"),
        ("-----BEGIN PRIVATE KEY-----\ncut off", "[hidden]"),
        ("https://a:b@c/ is gone", "https://[hidden]@c/ is gone"),
        ("idle plays Idleness and 小红帽们", "idle plays Idleness and [title]们"),
        ("play: A is B is skipped: why", "play: [title] is skipped: why"),
        ("uuid 502a223568ccfc at 192.168.1.4", "uuid 502a223568ccfc at 192.168.1.4"),
    ],
)
def test_texts(text: str, clean: str) -> None:
    titles = ["小红帽", "Idle", "x"]  # a title of one letter would hide that of other words
    assert Cleaner(["secret"], titles).clean(text) == clean


@given(st.text(min_size=6, max_size=40).filter(lambda text: text.strip() == text))
def test_a_secret_goes_however_it_is_spelled(secret: str) -> None:
    cleaner = Cleaner([secret])
    for spelled in (secret, json.dumps(secret), quote(secret, safe=""), repr(secret)):
        told = cleaner.clean(f"<{spelled}>")
        assert secret not in told or secret in "[hidden]<>\"'"


@given(st.binary(min_size=6, max_size=40))
def test_a_title_of_any_bytes_goes_however_it_is_written(name: bytes) -> None:
    """A stick from another computer has names in GBK."""
    title = os.fsdecode(name)
    cleaner = Cleaner([], [title])
    written = title.encode("utf-8", "surrogateescape")
    for spelled in (
        title, json.dumps(title)[1:-1], quote(written), repr(title)[1:-1],
        written.decode("utf-8", "replace"), written.decode("utf-8", "backslashreplace"),
    ):  # fmt: skip
        assert cleaner.clean(f" {spelled} ") == " [title] "


def test_what_a_secret_file_holds() -> None:
    assert {"abcdefghijkl", "x=1"} - secret_words(b"x=1\nabcdefghijkl\n") == {"x=1"}
    assert secret_words(b"short") == {"c2hvcnQ=", "73686f7274"}
    assert secret_words(b"") == set()
    assert secret_words(b"passphrase with spaces\n") >= {"passphrase with spaces"}


def test_the_status_without_the_family() -> None:
    assert titles_of(STATUS) == {"Geheim", "Noch eins", "小故事"}
    clean = json.dumps(without_family(STATUS), ensure_ascii=False)
    assert not any(title in clean for title in titles_of(STATUS))
    assert '"state": "playing"' in clean
    assert "1 [hidden]" in clean
