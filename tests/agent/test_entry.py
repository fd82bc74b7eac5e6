"""Where the programs begin: an interrupt while their modules are still read ends each without a traceback."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tools.deb.recipes import AGENT, CLOUD

ROOT = Path(__file__).parents[2]
# What the second of them begins with is among the last that it imports.
ENTRIES = {
    "agent.entry": "base.printing",
    "release.entry": "release.commands",
    "staging.commands.entry": "staging.commands.at_server",
    "staging.fleet.entry": "base.printing",
}
INTERRUPTED = """
import importlib, sys

class Interrupt:
    def find_spec(self, name, *_):
        if name == sys.argv[2]:
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupt())
sys.exit(importlib.import_module(sys.argv[1]).main())
"""


@pytest.mark.parametrize(("entry", "read"), ENTRIES.items())
def test_an_interrupt_while_modules_are_read_is_an_end_as_any_other(entry: str, read: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, entry, read], cwd=ROOT, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (130, b"")


def test_every_program_begins_there() -> None:
    """By pip as by Debian's packages."""
    scripts: dict[str, str] = {}
    for folder in (ROOT, ROOT / "cloud"):
        scripts |= tomllib.loads((folder / "pyproject.toml").read_text())["project"]["scripts"]
    assert sorted(scripts.values()) == [f"{entry}:main" for entry in ENTRIES]
    assert {**AGENT.programs, **CLOUD.programs} == scripts
