"""The page's files: `test_routes` asks for them; here is the language that they begin in."""

from __future__ import annotations

import pytest

from agent.local.page.files import choose_language


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "zh"), ("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("en-GB,en;q=0.9,zh;q=0.8", "en"), ("de,en;q=0.7,zh;q=0.3", "en"),
        ("fr", "zh"), ("en;q=0", "zh"), ("en;q=x,zh", "zh"), ("*", "zh"), (",;q=,en", "en"), ("en;q=9", "zh"),
    ],
)  # fmt: skip
def test_the_language_that_a_browser_wants(accepted: str, language: str) -> None:
    assert choose_language(accepted) == language
