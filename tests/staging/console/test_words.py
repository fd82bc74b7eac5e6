"""The console's texts: both languages have each, and each module loads the file with those that it shows."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path

import pytest

from staging.console import assets
from wire.ota import OtaEvent

JS = Path(assets.__file__).parent / "static" / "js"
FILES = sorted(file for file in (JS / "words").glob("*.js") if file.stem != "book")
PAGES = sorted(file.stem for file in JS.glob("*.js"))
LINE = re.compile(r'  (?:(\w+)|"([\w.-]+)"): (\["(?:[^"\\]|\\.)*", "(?:[^"\\]|\\.)*"\]),')
IMPORT = re.compile(r'^import\b[^;"]*"\./([\w/-]+)\.js";', re.MULTILINE)
# `t("key")`, and `t(condition ? "key" : "other")`; keys that are computed are named by their tests.
SAID = re.compile(r"\bt\((?:[^()`\"]*\? )?\"([\w.-]+)\"(?: : \"([\w.-]+)\")?")


@functools.cache
def texts(file: Path) -> dict[str, tuple[str, str]]:
    """Return the texts of a file by their key."""
    found: dict[str, tuple[str, str]] = {}
    body = file.read_text("utf-8").partition("words({\n")[2].partition("\n});\n")[0]
    for line in body.split("\n"):
        match = LINE.fullmatch(line)
        assert match, f'{file.name}: {line!r} is not `key: ["中文", "English"],`'
        key = match[1] or match[2]
        assert key not in found, f"{file.name}: {key} twice"
        chinese, english = json.loads(match[3])
        found[key] = (chinese, english)
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_text_is_there_in_both_languages_with_the_same_values(file: Path) -> None:
    for key, (chinese, english) in texts(file).items():
        assert chinese.strip(), key
        assert english.strip(), key
        values = [sorted(set(re.findall(r"\{\w+\}", each))) for each in (chinese, english)]
        assert values[0] == values[1], key


def test_a_key_is_in_one_file() -> None:
    keys = [key for file in FILES for key in texts(file)]
    assert sorted(set(keys)) == sorted(keys)


@functools.cache
def loaded(name: str) -> frozenset[str]:
    """Return a module and all that it loads."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        each = waiting.pop()
        if each not in seen:
            seen.add(each)
            folder = each.rpartition("/")[0]
            found = IMPORT.findall((JS / f"{each}.js").read_text("utf-8"))
            waiting += [f"{folder}/{module}" if folder else module for module in found]
    return frozenset(seen)


@pytest.mark.parametrize("page", PAGES)
def test_a_module_loads_the_texts_that_it_shows(page: str) -> None:
    known = {
        key
        for module in loaded(page)
        if module.startswith("words/") and module != "words/book"
        for key in texts(JS / f"{module}.js")
    }
    said = {key for both in SAID.findall((JS / f"{page}.js").read_text("utf-8")) for key in both}
    assert said - {""} - known == set()


def test_every_event_of_an_update_has_words() -> None:
    known = texts(JS / "words" / "events.js")
    assert [event for event in OtaEvent if f"event.{int(event)}" not in known] == []
