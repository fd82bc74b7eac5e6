"""The commands of README and bench guide: the same in both languages, and such that the programs understand them.

`make test-readme` runs them (`tests.readme.proof`); here nothing is started but the shell's own check.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from agent.parser import build_parser as agent_parser
from release.cli import build_parser as release_parser
from staging.commands.cli import build_parser as cloud_parser
from tests.readme.proof import SUBSTITUTES
from tests.readme.recipe import BENCH, DOCUMENTS, MACHINE, ROOT, blocks, commands

# Of Debian's base, Raspberry Pi OS and this tree's own setup; what else a person needs must be installed first.
OTHERS = {
    "awk", "cd", "cp", "curl", "export", "grep", "install", "kill", "make", "mkdir", "printf", "python", "python3",
    "rm", "scp", "sh", "shred", "sleep", "tee", "true", "umask", "value", "wait",
}  # fmt: skip


def parsers() -> dict[str, argparse.ArgumentParser]:
    return {
        "story-agent": agent_parser(),
        "story-cloud": cloud_parser(),
        "story-release": release_parser(),
    }


def find_faults(found: Iterable[list[str]]) -> list[str]:
    """Return the commands that a program of ours does not understand, and those of programs that may be missing."""
    known = parsers()
    faults = []
    for words in found:
        name, *rest = words
        if name not in known:
            faults += [] if name in OTHERS else [f"{name}: no program that is there"]
            continue
        told = io.StringIO()
        try:
            with contextlib.redirect_stderr(told), contextlib.redirect_stdout(told):
                known[name].parse_args(rest)
        except SystemExit:
            faults.append(f"{' '.join(words)}: {told.getvalue().splitlines()[-1]}")
    return faults


@pytest.mark.parametrize("subject", DOCUMENTS)
def test_both_languages_have_the_same_commands(subject: str) -> None:
    english, chinese = (blocks(document) for document in DOCUMENTS[subject])
    assert len(english) >= 4
    assert english == chinese


def test_every_command_is_one_that_its_program_takes() -> None:
    found = [
        words for english, _ in DOCUMENTS.values() for block in blocks(english) for words in commands(block.text)
    ]  # fmt: skip
    ours = [words for words in found if words[0].startswith("story-")]
    assert len(ours) > 30
    assert find_faults(found) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("story-agent provison x", "invalid choice"),
        ("sudo story-agent status --chek", "--chek"),
        ('x "$(story-cloud release rot)"', "invalid choice"),
        ("until story-agent fly; do sleep 1; done", "invalid choice"),
        ("true && story-cloud serve --listen", "--listen"),
        ("jq . file", "jq: no program"),
    ],
)
def test_a_wrong_command_is_found(text: str, fault: str) -> None:
    assert any(fault in each for each in find_faults(commands(text)))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A=1\nU=$(a b | awk '{ print $2 }')", [["a", "b"], ["awk", "{ print 1 }"]]),
        ('(umask 077; a --x "$U" >f)', [["umask", "077"], ["a", "--x", "1"]]),
        ("sudo tee /f >/dev/null <<'END'\n[x]\nEND\nnext", [["tee", "/f"], ["next"]]),
        ('a http://h:1 "$(b <c)" \\\n  "$D"', [["b"], ["a", "http://h:1", "1", "1"]]),
        ("a >f 2>&1 &\nuntil b --check; do sleep 1; done", [["a"], ["b", "--check"], ["sleep", "1"]]),
    ],
)  # fmt: skip
def test_commands_are_read_from_a_shells_text(text: str, found: list[list[str]]) -> None:
    assert [*commands(text)] == found


@pytest.mark.parametrize("subject", DOCUMENTS)
def test_the_shell_understands_the_blocks(subject: str) -> None:
    for host in (BENCH, MACHINE):
        text = "\n".join(each.text for each in blocks(DOCUMENTS[subject][0]) if each.host == host)
        checked = subprocess.run(
            ["bash", "-n"], input=text, capture_output=True, text=True, check=False
        )
        assert (checked.returncode, checked.stderr) == (0, "")


def test_files_of_this_tree_that_are_named_exist() -> None:
    named = [
        name
        for document, _ in DOCUMENTS.values()
        for block in blocks(document)
        for name in re.findall(r"(?<![\w/.])(?:tools|examples)/[\w./-]+", block.text)
    ]
    assert named
    for name in named:
        assert Path(ROOT, name).exists(), name


def test_what_the_proof_replaces_is_there() -> None:
    """A stand-in for something that nobody reads any more would hide that the text is another one."""
    texts = [block.text for block in blocks(DOCUMENTS["flashing"][0])]
    for old, _ in SUBSTITUTES:
        assert any(old in text for text in texts), old
