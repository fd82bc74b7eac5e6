"""Every pair of states, and the agreement of the table, the steps and the diagram."""

from __future__ import annotations

import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from ota.errors import MisuseError
from ota.order.states import (
    STEPS,
    TRANSITIONS,
    IllegalTransitionError,
    State,
    Step,
    check_transition,
    mermaid,
)

LEGAL = {
    ("CREATED", "RUNNING"),
    ("CREATED", "FAILED"),
    ("RUNNING", "INSTALLED"),
    ("RUNNING", "FAILED"),
    ("INSTALLED", "SUCCESS"),
    ("INSTALLED", "FAILED"),
}


@pytest.mark.parametrize(("before", "after"), list(product(State, State)))
def test_each_pair_of_states(before: State, after: State) -> None:
    if (before, after) in LEGAL:
        check_transition(before, after)
    else:
        with pytest.raises(IllegalTransitionError, match=f"{before} → {after}"):
            check_transition(before, after)


def test_an_illegal_transition_is_our_own_bug() -> None:
    assert issubclass(IllegalTransitionError, MisuseError)


def test_only_the_two_ends_are_final() -> None:
    assert {state for state in State if state.is_final} == {State.SUCCESS, State.FAILED}


def test_each_step_belongs_to_a_state() -> None:
    assert set().union(*STEPS.values()) == set(Step)
    assert set(STEPS) == set(TRANSITIONS) == set(State)


def test_the_drawing_has_each_arrow_once() -> None:
    lines = subprocess.run(
        [sys.executable, "-m", "ota.order.states"], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert lines == mermaid().splitlines()
    for before, after in LEGAL:
        assert lines.count(f"    {before} --> {after}") == 1
    assert len(lines) == 2 + len(LEGAL) + 2


def test_the_document_shows_the_drawing_as_it_is() -> None:
    document = (Path(__file__).parents[3] / "docs/ota.md").read_text("utf-8")
    assert f"```mermaid\n{mermaid()}\n```" in document
