"""The one text rule: what is refused, what is kept, and which texts are the same."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import FieldError
from wire.text import cleaned, fold, is_printable, kept, parse_text, spellings

NFD = "Ma\u0308rchen"
NFC = "M\u00e4rchen"
# "Track 1" in full width.
WIDE = "Track 1".translate({n: n + 0xFEE0 for n in range(0x21, 0x7F)} | {0x20: 0x3000})
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


@pytest.mark.parametrize(
    "text",
    ["", "儿歌", NFC, NFD, "春天\u3000在哪里", "a\u00a0b", FAMILY + " 故事", "\u2764\ufe0f", WIDE,
     "a\u200bb", "\u202fa", "\ufeffa", "\u05d0\u200f!", "\ue000", "\U0001fae9", "a\u00adb", "\U000e0067"],
)  # fmt: skip
def test_what_people_write_is_taken(text: str) -> None:
    assert is_printable(text)
    assert cleaned(text) == kept(text)


@pytest.mark.parametrize(
    "character",
    [chr(n) for n in (0, 9, 10, 13, 27, 0x7F, 0x85, 0x9B, 0x2028, 0x2029, 0x202A, 0x202E, 0x2066,
                      0x2069, 0xD800, 0xDFFF)],
)  # fmt: skip
def test_what_forges_the_text_around_it_is_refused(character: str) -> None:
    assert not is_printable(f"a{character}b")
    assert cleaned(f"a{character}b") == "a\N{REPLACEMENT CHARACTER}b"
    with pytest.raises(FieldError, match=r"^name: got .*expected 1 to 9 printable characters"):
        parse_text("name", f"a{character}b", 9)


@given(st.characters())
def test_no_character_is_refused_but_control_and_line_characters(character: str) -> None:
    forging = unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
    reorders = unicodedata.bidirectional(character) in {
        "LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI",
    }  # fmt: skip
    assert is_printable(character) is not (forging or reorders)


@given(st.text())
def test_what_could_be_printed_before_still_is_taken(text: str) -> None:
    assert is_printable(text) or not text.isprintable()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (NFC, NFD), (NFC, "MÄRCHEN"), (WIDE, "track 1"), ("a\u00a0b", "A  B"), (" a\u3000", "a"),
        ("\u2764\ufe0f 故事", "\u2764 故事"), (FAMILY, FAMILY.replace("\u200d", "")), ("Straße", "STRASSE"),
        ("ﬁsh", "FISH"), ("①", "1"), ("ｶﾞ", "ガ"), ("\ufeffa", "a"), ("a\u200bb", "ab"), ("ΑΣ", "ας"),
        ("\ud55c", "\u1112\u1161\u11ab"),
    ],
)  # fmt: skip
def test_texts_that_look_the_same_are_the_same(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(("one", "other"), [("a b", "ab"), ("a", "ä"), ("1", "一"), ("a-b", "a b")])
def test_other_texts_are_not(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@given(st.text())
def test_comparing_is_stable_and_knows_every_composition(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert fold(unicodedata.normalize(form, text)) == folded
    assert not {"\n", "  "} & set(folded)


@given(st.text())
def test_what_is_kept_is_kept_as_it_is(text: str) -> None:
    assert kept(kept(text)) == kept(text)
    assert is_printable(cleaned(text))
    assert text in spellings(text)
    assert kept(text) in spellings(text)


@pytest.mark.parametrize("value", ["", " ", "\u3000", "\u200b", "\ufeff\u00ad", 5, None, "x" * 6])
def test_a_name_is_shown_and_of_its_length(value: object) -> None:
    with pytest.raises(FieldError, match="expected 1 to 5 printable characters"):
        parse_text("name", value, 5)


def test_a_name_is_counted_as_it_is_kept() -> None:
    assert parse_text("name", "a\u0308" * 5, 5) == "ä" * 5
    assert parse_text("name", "", 5, empty=True) == ""
