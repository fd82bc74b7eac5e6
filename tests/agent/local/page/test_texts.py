"""The page's texts: the machine's, and those in its files."""

from __future__ import annotations

import re
from pathlib import Path

from agent.local.page import texts
from agent.local.page.view import SETTABLE
from agent.words import Words

STATIC = Path(texts.__file__).parent / "static"


def test_each_text_has_both_languages_and_the_same_values() -> None:
    words = [
        each for name, each in vars(texts).items() if isinstance(each, Words) and name != "Words"
    ]
    words += [*texts.PLAY.values(), *texts.LISTENING.values(), *texts.UPDATE.values(), *texts.GOES_ON, *texts.WAITS]  # fmt: skip
    for each in words:
        assert set(re.findall(r"\{(\w+)\}", each.zh)) == set(re.findall(r"\{(\w+)\}", each.en)), (
            each
        )


def test_each_name_in_the_files_is_a_word_of_both_languages() -> None:
    zh, en = (STATIC / "words.js").read_text().split("  en: {")
    known = [set(re.findall(r"(\w+): \"", part)) for part in (zh, en)]
    assert known[0] == known[1]
    page, script = (STATIC / "index.html").read_text(), (STATIC / "page.js").read_text()
    used = set(re.findall(r'data-(?:word|label)="(\w+)"', page))
    used |= set(re.findall(r'word\("(\w+)"', script))
    assert used <= known[0]
    assert set(re.findall(r"set\(\"(\w+)\"", script)) <= SETTABLE
