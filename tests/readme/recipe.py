"""The commands that the documents tell people to copy, read from the documents: blocks for a bench or a machine."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The same commands in both languages, by what they are about.
DOCUMENTS = {
    "flashing": (ROOT / "README.md", ROOT / "README.zh-CN.md"),
    "bench": (ROOT / "docs/bench.md", ROOT / "docs/bench.zh-CN.md"),
}
BENCH, MACHINE = "bench", "machine"
_FENCE = re.compile(rf"^```sh ({BENCH}|{MACHINE})\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_HERE = re.compile(r"<<'(\w+)'.*?^\1$", re.DOTALL | re.MULTILINE)
_INNER = re.compile(r"\$\(([^()]*)\)")
_VARIABLE = re.compile(r"\$\([^()]*\)|\$\w+")
_OPERATORS = set("();<>|&")
# Words of the shell before a command.
_BEFORE = {"{", "}", "until", "while", "do", "done", "!", "sudo", "then", "if", "fi"}


@dataclass(frozen=True, slots=True)
class Block:
    """One block: where its commands run, and their text."""

    host: str
    text: str


def blocks(document: Path) -> list[Block]:
    """Return a document's blocks in their order."""
    return [Block(*found) for found in _FENCE.findall(document.read_text("utf-8"))]


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each command of a block, those inside of others included; variables are 1.

    Redirections, assignments, ``sudo`` and the shell's own words are left out.
    """
    text = _HERE.sub("", text).replace("\\\n", " ")
    for inner in _INNER.findall(text):
        yield from commands(inner)
    for line in text.splitlines():
        words: list[str] = []
        skip = False
        for token in _tokens(line):
            if set(token) <= _OPERATORS:
                skip = "<" in token or ">" in token
                if not skip:
                    yield from _command(words)
                    words = []
            elif skip:
                skip = False
            else:
                words.append(token)
        yield from _command(words)


def _tokens(line: str) -> list[str]:
    lexer = shlex.shlex(
        _VARIABLE.sub("1", re.sub(r"\d>&\d", "", line)), posix=True, punctuation_chars=True
    )
    lexer.whitespace_split = True
    return list(lexer)


def _command(words: list[str]) -> Iterator[list[str]]:
    while words and (words[0] in _BEFORE or re.fullmatch(r"\w+=.*", words[0])):
        words = words[1:]
    if words:
        yield words
