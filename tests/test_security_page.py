"""What stands behind the sentences of docs/security.md exists: tests, by file and name, and attacks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.attack.__main__ import ATTACKS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
TESTS = sorted(set(re.findall(r"`(tests/[\w/.]+\.py)(?:::(\w+))?`", PAGE)))
HOLDS = PAGE.partition("## What holds against strangers")[2].partition("\n## ")[0]


@pytest.mark.parametrize(("file", "name"), TESTS, ids=lambda text: text.rpartition("/")[2])
def test_a_test_that_proves_a_sentence_is_there(file: str, name: str) -> None:
    text = (ROOT / file).read_text("utf-8")
    assert not name or re.search(rf"^ *(async )?def {name}\(", text, re.MULTILINE)


def test_every_sentence_names_its_proof_and_every_attack_is_on_the_page() -> None:
    rows = [line for line in HOLDS.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 10
    assert [row for row in rows if not re.search(r'`tests/|"', row.rsplit("|", 2)[1])] == []
    quoted = set(re.findall(r'"([^"]+)"', PAGE))
    assert [
        each.name for each in ATTACKS if each.name not in quoted and f"{each.name}" not in PAGE
    ] == []
