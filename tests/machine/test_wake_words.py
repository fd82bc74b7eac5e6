"""Wake words on disk: what is read back, what damage costs, and who may read them."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from audio.wake_card import Card
from machine.wake_words import NAME_LETTERS, StoredWord, WakeWordError, WakeWords, to_bytes, usable
from tests.machine.wake_parts import GOOD, stored

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
FILE_BYTES = 524_288
WORDS_MAX = 8

NAMES = ["小故事小故事", "hello box", "a/b", "..", "%2F"]


@pytest.mark.parametrize("name", NAMES)
def test_a_word_is_read_back_as_it_was_but_for_rounding(tmp_path: Path, name: str) -> None:
    words, given = WakeWords(tmp_path), stored(name)
    words.save(given)
    read = words.find(name)
    assert read.card == given.card
    assert read.word.name == name
    for old, new in zip(given.word.templates, read.word.templates, strict=True):
        assert new.threshold == old.threshold
        for a, b in zip(old.points, new.points, strict=True):
            assert a == pytest.approx(b, abs=1e-4)


def test_nobody_else_may_read_a_word(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        words = WakeWords(tmp_path)
        words.save(stored("a"))
    finally:
        os.umask(before)
    (file,) = words.folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert words.folder.stat().st_mode & 0o777 == 0o700


DAMAGE = {
    "no JSON": lambda _content: b"{",
    "an endless number": lambda content: content.replace(
        b'"recalled": ', b'"recalled": 1e999, "x": ', 1
    ),
    "no number of hours": lambda content: content.replace(b'"hours": ', b'"hours": NaN, "x": ', 1),
    "a member less": lambda content: content.replace(b'"card"', b'"cart"', 1),
    "another shape": lambda _content: b"[1]",
    "null": lambda _content: b"null",
    "deep": lambda _content: b"[" * 100000,
    "not UTF-8": lambda _content: b"\xff\xfe",
    "empty": lambda _content: b"",
    "cut": lambda content: content[: len(content) // 2],
    "too large": lambda content: content + b" " * FILE_BYTES,
    "a version of later": lambda content: content.replace(b'"version": 1', b'"version": 2'),
    "another point": lambda content: content.replace(b'"points": "', b'"points": "AA', 1),
    "no template": lambda content: json.dumps({**json.loads(content), "templates": []}).encode(),
    "a threshold that everything passes": lambda content: content.replace(b"0.06", b"1.60", 1),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_costs_its_own_word_and_is_named(tmp_path: Path, damage: object) -> None:
    words = WakeWords(tmp_path)
    words.save(stored("good"))
    words.save(stored("bad"))
    path = words.folder / "bad.json"
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    read, faults = words.read_all()
    assert [each.word.name for each in read] == ["good"]
    assert list(faults) == ["bad.json"]
    assert "bad.json" in faults["bad.json"]
    assert "record it again" in faults["bad.json"]
    words.forget("bad")
    assert words.read_all()[1] == {}


def test_a_word_that_is_not_there_is_named_beside_those_that_are(tmp_path: Path) -> None:
    words = WakeWords(tmp_path)
    words.save(stored("有"))
    for act in (words.find, words.forget):
        with pytest.raises(WakeWordError, match="没有: no such wake word; there are: 有"):
            act("没有")


@pytest.mark.parametrize("name", ["", " a", "a\n", "x" * (NAME_LETTERS + 1)], ids=repr)
def test_a_name_that_nobody_can_type_again_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(WakeWordError, match="name: got"):
        WakeWords(tmp_path).save(stored(name))
    assert list(tmp_path.iterdir()) == []


def test_there_is_a_bound_and_an_old_word_may_still_be_replaced(tmp_path: Path) -> None:
    words = WakeWords(tmp_path)
    for number in range(WORDS_MAX):
        words.save(stored(f"w{number}"))
    with pytest.raises(WakeWordError, match="forget one"):
        words.save(stored("one more"))
    words.save(stored("w0", card=None))
    assert words.find("w0").card is None


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "wake").write_text("a file", "utf-8")
    with pytest.raises(WakeWordError, match="wake"):
        WakeWords(tmp_path).save(stored("a"))


CARDS = {
    "good": (GOOD, ""),
    "none": (None, "no card"),
    "deaf": (replace(GOOD, recalled=3), "heard 3 of 4 takes"),
    "false alarms": (replace(GOOD, false_alarms=2), "2 false alarms in 12 h"),
    "one in twelve hours is allowed": (replace(GOOD, false_alarms=1), ""),
    "one in half an hour": (replace(GOOD, hours=0.5, false_alarms=1), "1 false alarms in 0.5 h"),
    "near": (replace(GOOD, near={"熊": (1, 6), "兔": (0, 6)}), "taken for it: 熊"),
    "one in twenty is allowed": (replace(GOOD, near={"熊": (1, 6), "兔": (0, 14)}), ""),
    "no hours": (replace(GOOD, hours=0.0), "no other speech"),
}


@pytest.mark.parametrize(("card", "doubt"), CARDS.values(), ids=CARDS)
def test_a_word_is_listened_for_only_with_a_card_that_is_good_enough(
    card: Card | None, doubt: str
) -> None:
    word = StoredWord(stored("w").word, card)
    assert doubt in "; ".join(word.doubts())
    assert bool(word.doubts()) == bool(doubt)
    assert bool(usable([word])) != bool(doubt)


def test_the_file_has_no_sound_and_little_else() -> None:
    content = json.loads(to_bytes(stored("w")))
    assert set(content) == {"version", "name", "templates", "card"}
    assert set(content["templates"][0]) == {"threshold", "points", "crc"}


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    words = WakeWords(tmp_path)
    words.save(stored("good"))
    os.mkfifo(words.folder / "pipe.json")
    (words.folder / "folder.json").mkdir()
    read, faults = words.read_all()
    assert len(read) == 1
    assert faults == {
        "folder.json": "folder.json: not a file; remove it",
        "pipe.json": "pipe.json: not a file; remove it",
    }
