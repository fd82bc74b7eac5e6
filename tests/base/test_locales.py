"""The locale's language; more cases are in tests/agent/words/test_init.py."""

from __future__ import annotations

from base.locales import speaks_chinese


def test_the_first_that_is_set_decides() -> None:
    assert speaks_chinese({})
    assert speaks_chinese({"LC_ALL": "zh_CN.GBK", "LANG": "en_US.UTF-8"})
    assert not speaks_chinese({"LC_ALL": "en_GB", "LANG": "zh_CN.UTF-8"})
