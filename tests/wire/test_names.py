"""One rule for names of products, and each place that takes one asks for it."""

from __future__ import annotations

import posixpath
import unicodedata
from fnmatch import fnmatch
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import FieldError
from wire.names import check_product, is_product

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
NAME_MAX = 64

TAKEN = [
    "story-machine",
    "story_machine.2",
    "小熊故事机",
    "小熊故事机 二代",
    "lamp two",
    "Ours-ÄÖÜ",
    "ニャー",
    "นิทาน",
    "Сказка",
    "حكاية",
    "7",
    "v1.2",
    "a" * NAME_MAX,
    "机" * 25,
]
REFUSED = [
    "",
    " ",
    ".",
    "..",
    "...",
    "../x",
    "a/b",
    "a\\b",
    "a%2Fb",
    "a%b",
    "a..b",
    "a  b",
    " a",
    "a ",
    ".a",
    "a.",
    "-a",
    "a-",
    "--help",
    "a\nb",
    "a\tb",
    "a\x00b",
    "a\u3000b",
    "a\u00a0b",
    "a\u202eb",
    "a\u200bb",
    "a*",
    "a?",
    "[a]",
    "a:b",
    "a|b",
    "a;b",
    "$a",
    "`a`",
    "a'b",
    'a"b',
    "a\u2044b",
    "a\uff0fb",
    "小熊\uff08二代\uff09",
    "😀",
    "root",
    "Targets",
    "snapshot",
    "timestamp",
    "\u0301a",
    unicodedata.normalize("NFD", "Ä"),
    "a" * (NAME_MAX + 1),
    "机" * 26,
    "\ud800",
]


@pytest.mark.parametrize("name", TAKEN)
def test_taken(name: str) -> None:
    assert check_product(name) == name


@pytest.mark.parametrize("name", REFUSED, ids=ascii)
def test_refused_with_the_field_and_what_was_expected(name: str) -> None:
    with pytest.raises(FieldError, match=r"^ota\.product: got .*, expected letters of any script"):
        check_product(name, "ota.product")


@given(st.text(max_size=12))
def test_what_is_taken_is_one_folder_one_pattern_and_one_argument(name: str) -> None:
    if not is_product(name):
        return
    assert posixpath.normpath(f"x/{name}/y") == f"x/{name}/y"
    assert name.count("/") == 0
    assert "%" not in name
    assert fnmatch(f"{name}/1.0.tar.gz", f"{name}/*")
    assert not name.startswith("-")
    assert name == name.strip()
    assert len(f"1000000.{quote(name, '')}.json".encode()) <= 255
