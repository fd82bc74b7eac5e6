"""The JSON Schema says what the reader says: checked by a validator of its own kind."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli import main
from agent.config.schema import build_schema
from agent.settings import TABLES, judge
from agent.settings_values import LIMITS
from tests.agent.test_settings import EVERYTHING

ROOT = Path(__file__).parents[3]
SCHEMA = build_schema()
VALIDATOR = jsonschema_rs.validator_for(SCHEMA)


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == SCHEMA


def test_it_takes_every_setting_and_the_examples_of_the_docs() -> None:
    texts = [EVERYTHING]
    for page in (ROOT / "docs").glob("*.md"):
        texts += re.findall(r"```toml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    for text in texts:
        source = tomllib.loads(text)
        if set(source) <= set(TABLES):
            VALIDATOR.validate(source)


def test_every_member_is_described_and_its_default_is_valid() -> None:
    for name, table in SCHEMA["properties"].items():
        for member, told in table["properties"].items():
            assert told["description"], f"{name}.{member}"
            if told["default"] != "" or "minLength" not in told:
                assert VALIDATOR.is_valid({name: {member: told["default"]}}), f"{name}.{member}"


VALUES: st.SearchStrategy[Any] = st.one_of(
    st.booleans(), st.integers(-5, 70000), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "auto", "mqtt", "a\nb", "zh", "device"]), st.just([]),
)  # fmt: skip


@given(st.sampled_from(sorted(LIMITS)), VALUES)
def test_reader_and_schema_agree_on_each_limited_member(name: str, value: Any) -> None:
    table, _, member = name.partition(".")
    source = {table: {member: value}}
    wrong = [
        fault
        for fault in judge(source)[1]
        if fault.field == name and "beside" not in fault.expected
    ]
    # JSON Schema takes 5.0 for an integer; TOML has two kinds of numbers.
    if not (isinstance(value, float) and value.is_integer()) and name != "battery.address":
        assert VALIDATOR.is_valid(source) is not bool(wrong)


@pytest.mark.parametrize("source", [{"playy": {}}, {"voice": 3}, {"voice": {"qualty": 1}}])
def test_it_refuses_what_the_reader_refuses(source: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(source)
    assert judge(source)[1]
