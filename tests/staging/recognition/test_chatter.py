"""Whether words around a command leave it an order; whole sentences are in test_intents.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staging.recognition.chatter import is_negated, is_order, is_own


@pytest.mark.parametrize(
    ("before", "after", "order"),
    [
        ("", "", True), ("请给我", "吧", True), ("小爱同学", "", True), ("小度小度请", "好吗", True), ("", "我要上厕所", True),
        ("不要", "", False), ("我不想再", "", False), ("能不能", "", True), ("妈妈说", "歌很好听", False), ("", "吃饭", False),
        ("学校里", "", False), ("昨天", "", False), ("", "是什么", False), ("他一直不", "", False), ("", "按钮", False),
    ],
)  # fmt: skip
def test_what_stands_around_an_order(before: str, after: str, *, order: bool) -> None:
    assert is_order(before, after) is order


@pytest.mark.parametrize(
    ("before", "own"), [("妈妈我", True), ("我喜欢", True), ("爸爸在", False), ("昨天我", False)]
)
def test_whose_wish_it_is(before: str, *, own: bool) -> None:
    assert is_own(before) is own


@given(before=st.text("请给我的妈不要能再", max_size=30))
def test_what_is_forbidden_is_never_an_order(before: str) -> None:
    assert not (is_negated(before) and is_order(before, ""))
