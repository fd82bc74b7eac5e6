"""Passwords and tokens in texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.hiding import hide


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("https://me:pw@host/x", "https://[hidden]@host/x"),
        ("see rtsp://tok@h and http://a:b@c", "see rtsp://[hidden]@h and http://[hidden]@c"),
        ("https://h/x?a=1&access_token=abc&b=2", "https://h/x?a=1&access_token=[hidden]&b=2"),
        ("https://h/x?X-Amz-Signature=abc", "https://h/x?X-Amz-Signature=[hidden]"),
        ("Authorization: Bearer abcdef.ghi-j", "Authorization: Bearer [hidden]"),
        ("https://h/a@b mail me@example.com", "https://h/a@b mail me@example.com"),
        ("nothing", "nothing"),
    ],
)
def test_hide(text: str, hidden: str) -> None:
    assert hide(text) == hidden
    assert hide(hidden) == hidden


@given(st.text(alphabet="abcXYZ019-_.~!$&*+", min_size=6, max_size=30))
def test_a_password_goes_whatever_it_is(password: str) -> None:
    assert f":{password}@" not in hide(f"get https://user:{password}@host/path failed")
