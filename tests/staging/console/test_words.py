"""The console's texts: both languages have each, and each module loads the file with those that it shows."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path

import pytest

from staging.api import openapi
from staging.api.app import ROUTERS
from staging.console import assets
from wire.ota import OtaEvent

JS = Path(assets.__file__).parent / "static" / "js"
FILES = sorted(file for file in (JS / "words").glob("*.js") if file.stem != "book")
# What is loaded when it is asked for, with all that it loads itself.
PAGES = ("main", *re.findall(r'import\("\./(\w+)\.js"\)', (JS / "main.js").read_text("utf-8")))
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
        if not line or line.startswith("  //"):
            continue
        match = LINE.fullmatch(line)
        assert match, f'{file.name}: {line!r} is not `key: ["中文", "English"],`'
        key = match[1] or match[2]
        assert key not in found, f"{file.name}: {key} twice"
        chinese, english = json.loads(match[3])
        found[key] = (chinese, english)
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_text_is_there_in_both_languages_with_the_same_values(file: Path) -> None:
    assert texts(file)
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
def test_a_page_loads_the_texts_that_it_shows(page: str) -> None:
    modules = {name for name in loaded(page) if name != "words/book"}
    words = {name for name in modules if name.startswith("words/")}
    known = {key for name in words for key in texts(JS / f"{name}.js")}
    for name in modules - words:
        pairs = SAID.findall((JS / f"{name}.js").read_text("utf-8"))
        assert {key for pair in pairs for key in pair} - {""} - known == set(), name


def test_every_event_of_an_update_has_words() -> None:
    known = texts(JS / "words" / "events.js")
    assert [event for event in OtaEvent if f"event.{int(event)}" not in known] == []


def test_every_signed_endpoint_has_words() -> None:
    known = texts(JS / "words" / "endpoints.js")
    signed = {
        f"api.{method.lower()}{route.path.removeprefix('/v1').replace('/', '.')}"
        for route in openapi.routes_of(ROUTERS)
        if openapi.is_signed(route)
        for method in route.methods or ()
    }
    assert set(known) == signed
