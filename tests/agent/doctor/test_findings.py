"""How findings are shown."""

from __future__ import annotations

from agent.doctor.findings import bad, good, hint, skipped, summary
from agent.words import Words
from resources.announce.settings import Language

WRONG = bad("disk", Words("满了", "it is full"), Words("删故事", "remove stories"))


def test_a_finding_is_shown_in_either_language() -> None:
    assert WRONG.lines(Language.ENGLISH) == ["✗ disk: it is full", "    → remove stories"]
    assert WRONG.lines(Language.CHINESE) == ["✗ disk: 满了", "    → 删故事"]
    assert good("disk", "好", "fine").lines(Language.ENGLISH) == ["✓ disk: fine"]
    assert WRONG.to_json(Language.ENGLISH) == {
        "check": "disk", "level": "bad", "cause": "it is full", "remedy": "remove stories",
    }  # fmt: skip


def test_the_summary_counts() -> None:
    fine, aside = good("a", "好", "fine"), skipped("b", "没看", "not looked at")
    assert summary([fine, aside]) == Words("1 项检查，一切正常", "1 checks, all well")
    better = hint("c", Words("行", "works"), Words("改", "change"))
    assert summary([fine, WRONG, better]).en == "3 checks: 1 wrong, 1 could be better"
