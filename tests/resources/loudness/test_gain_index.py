"""What was measured, kept in SQLite."""

from __future__ import annotations

import logging
import math
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import resources.loudness.gain_index
from machine.measure import Measured
from resources.loudness.gain_index import GainIndex

LOUD = Measured(-9.0, 0.5)


@pytest.fixture
def story(tmp_path: Path) -> str:
    path = tmp_path / "media" / "story.mp3"
    path.parent.mkdir()
    path.write_bytes(b"sound")
    return str(path)


def test_a_measurement_waits_for_no_card(tmp_path: Path) -> None:
    """What a power cut takes is measured again: the log is synced when it is written back (NORMAL), not at each row."""
    index = GainIndex(tmp_path / "loudness.sqlite")
    assert index._open().execute("PRAGMA synchronous").fetchone() == (1,)
    index.close()


def test_what_is_kept_is_found_also_by_a_later_run(tmp_path: Path, story: str) -> None:
    index = GainIndex(tmp_path / "loudness.sqlite")
    assert index.find(story) is None
    assert not index.knows(story)
    index.keep(story, LOUD)
    index.close()
    again = GainIndex(tmp_path / "loudness.sqlite")
    assert again.find(story) == LOUD
    assert again.knows(story)
    again.close()


def test_an_index_that_a_newer_version_has_widened_takes_what_is_measured(
    tmp_path: Path, story: str
) -> None:
    path = tmp_path / "loudness.sqlite"
    GainIndex(path).keep(story, Measured(-20.0, -3.0))
    with closing(sqlite3.connect(path)) as db:
        db.execute("ALTER TABLE titles ADD COLUMN of_later TEXT")
    again = GainIndex(path)
    again.keep(story, LOUD)
    assert again.find(story) == LOUD
    again.close()


def test_a_file_that_was_replaced_is_new(story: str) -> None:
    index = GainIndex(None)
    index.keep(story, LOUD)
    os.utime(story, (1, 1))
    assert index.find(story) is None
    assert not index.knows(story)
    index.keep(story, LOUD)
    Path(story).write_bytes(b"other sound")
    os.utime(story, (1, 1))
    assert not index.knows(story)


def test_a_file_that_cannot_be_measured_is_known_but_has_nothing(story: str) -> None:
    index = GainIndex(None)
    index.keep(story, None)
    assert index.knows(story)
    assert index.find(story) is None
    assert index.neighbours(story) == []


def test_a_file_that_is_not_there_is_nothing_to_measure(tmp_path: Path) -> None:
    index = GainIndex(None)
    gone = str(tmp_path / "gone.mp3")
    index.keep(gone, LOUD)
    assert index.knows(gone)
    assert index.find(gone) is None


def test_names_that_are_not_utf8_and_silence(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.mp3")
    (tmp_path / name).write_bytes(b"sound")
    index = GainIndex(None)
    index.keep(str(tmp_path / name), Measured(-70.0, -math.inf))
    assert index.find(str(tmp_path / name)) == Measured(-70.0, -200.0)


def test_the_neighbours_of_a_title_are_those_of_its_folder_else_all(tmp_path: Path) -> None:
    index = GainIndex(None)
    for name, lufs in (("a/1", -9.0), ("a/2", -8.0), ("b/1", -20.0)):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"sound")
        index.keep(str(path), Measured(lufs, -1.0))
    assert {each.lufs for each in index.neighbours(str(tmp_path / "a/new"))} == {-9.0, -8.0}
    assert len(index.neighbours(str(tmp_path / "c/new"))) == 3
    assert len(index.neighbours("http://host/story.mp3")) == 3


def test_a_damaged_index_is_begun_anew_and_logged_once(
    tmp_path: Path, story: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "loudness.sqlite"
    path.write_bytes(b"no database at all" * 100)
    index = GainIndex(path)
    with caplog.at_level(logging.ERROR):
        assert index.find(story) is None
        index.keep(story, LOUD)
    assert index.find(story) == LOUD
    assert ["begun anew" in entry.getMessage() for entry in caplog.records] == [True]
    index.close()


@pytest.mark.parametrize("word", [b"lufs REAL", b"TABLE titles (path"])
def test_an_index_whose_schema_has_a_bit_of_another_value_is_begun_anew(
    word: bytes, tmp_path: Path, story: str
) -> None:
    """A column of another name, and words of SQLite's that are no UTF-8."""
    path = tmp_path / "loudness.sqlite"
    for bit in (0x01, 0x80):
        index = GainIndex(path)
        index.keep(story, LOUD)
        index.close()
        data = bytearray(path.read_bytes())
        data[data.index(word)] ^= bit
        path.write_bytes(data)
        index = GainIndex(path)
        index.find(story)
        index.keep(story, LOUD)
        assert index.find(story) == LOUD
        index.close()


def test_an_index_that_cannot_be_written_costs_the_gains_only(tmp_path: Path, story: str) -> None:
    index = GainIndex(tmp_path / "none" / "loudness.sqlite")
    index.keep(story, LOUD)
    assert index.find(story) is None


def test_what_no_card_holds_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources.loudness.gain_index, "ROWS_MAX", 4)
    index = GainIndex(None)
    paths = [tmp_path / f"{number}.mp3" for number in range(5)]
    for path in paths:
        path.write_bytes(b"sound")
        index.keep(str(path), LOUD)
        index.make_room()
    assert sum(index.knows(str(path)) for path in paths) == 3
