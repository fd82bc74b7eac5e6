"""The words of ``run``: read at once as argparse reads them, or left to it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.parser import build_parser
from agent.run_words import ENV_STATE, read_run

WORDS = st.lists(
    st.sampled_from(["--state", "--profile", "--config", "--verbose", "--state=/a", "--config=", "--conf", "--help", "-x",
                     "/b", "x=y", "--", "", "--verbose=1", "run"]), max_size=5)  # fmt: skip


def parsed(words: list[str]) -> dict[str, Any] | None:
    try:
        return vars(
            build_parser(id, daemon_only=True).parse_args(words, argparse.Namespace(words=words))
        )
    except SystemExit:
        return None


@given(WORDS)
def test_what_is_read_is_what_argparse_reads(more: list[str]) -> None:
    words = ["run", *more]
    if (found := read_run(words, {})) is not None:
        expected = parsed(words) or {}
        expected.pop("run", None)
        assert vars(found) == expected


@pytest.mark.parametrize(
    "words",
    [["status"], [], ["run", "--help"], ["run", "--stat", "/x"], ["run", "x"], ["run", "--state"],
     ["run", "--state", "--verbose"], ["run", "--verbose=1"], ["--state", "/x", "run"], ["run", "--lang", "en"]],
)  # fmt: skip
def test_anything_else_is_for_the_parser(words: list[str]) -> None:
    assert read_run(words, {}) is None


def test_systemd_and_launcher_write_what_is_read() -> None:
    words = ["run", "--profile", "/p", "--config=/c", "--state", "/s=t", "--verbose"]
    found = read_run(words, {ENV_STATE: "/never"})
    assert found is not None
    assert (found.state, found.profile, found.config) == (Path("/s=t"), Path("/p"), Path("/c"))
    assert (found.verbose, found.words) == (True, words)
    found = read_run(["run"], {ENV_STATE: "/env"})
    assert found is not None
    assert (found.state, found.config, found.verbose) == (Path("/env"), None, False)
