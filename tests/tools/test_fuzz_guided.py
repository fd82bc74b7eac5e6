"""What guided fuzzing kept is small, is read again by each reader, and a reader's own errors alone refuse it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tools.fuzz import TARGETS
from tools.fuzz_guided import CORPUS, CORPUS_FILES, corpus_of, keep, slug
from tools.fuzz_target import Target


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_the_kept_inputs_are_read_or_refused(target: Target) -> None:
    kept = corpus_of(target.name)
    assert 0 < len(kept) <= CORPUS_FILES
    for data in kept:
        with contextlib.suppress(*target.errors):
            target.read(data)


def test_each_reader_has_a_file_of_its_own_and_no_file_is_left_over() -> None:
    names = [slug(target.name) for target in TARGETS]
    assert len(set(names)) == len(names)
    assert {path.stem for path in CORPUS.iterdir()} == set(names)


def test_short_and_long_inputs_are_kept_and_the_same_one_once(tmp_path: Path) -> None:
    inputs = [b"x" * length for length in range(CORPUS_FILES * 3)]
    keep("A name", inputs * 2, tmp_path)
    kept = corpus_of("A name", tmp_path)
    assert len(kept) == len(set(kept)) == CORPUS_FILES
    assert kept[0] == b""
    assert len(kept[-1]) > CORPUS_FILES * 2
    keep("A name", [b"new"], tmp_path)
    assert corpus_of("A name", tmp_path) == [b"new"]


def test_a_target_without_a_file_has_no_inputs(tmp_path: Path) -> None:
    assert corpus_of("none", tmp_path) == []
