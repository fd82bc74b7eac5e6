"""The import's unit: what systemd says of it, and that it and the code name the same files."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from agent.first import WISH_NAME
from agent.first.places import BOOT_FOLDERS, NAME
from agent.run_words import DEFAULT_STATE

UNIT = Path(__file__).parents[2] / "systemd" / "story-agent-import.service"
# 10 times systemd's exposure level.
EXPOSURE = "16"


def values(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE)


def run(*words: str) -> str:
    done = subprocess.run(
        ["systemd-analyze", *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


def test_systemd_understands_every_line_and_finds_it_tight(tmp_path: Path) -> None:
    text = UNIT.read_text("utf-8").replace("/opt/story-agent/bin/story-agent", "/bin/true")
    (tmp_path / UNIT.name).write_text(text)
    unit = str(tmp_path / UNIT.name)
    assert run("verify", "--man=no", "--recursive-errors=yes", unit) == ""
    run("security", "--offline=yes", f"--threshold={EXPOSURE}", str(UNIT))


def test_it_runs_where_there_is_something_to_do_and_may_write_there() -> None:
    globs = values("ConditionPathExistsGlob")
    assert globs == [f"|{folder}/{NAME}*" for folder in BOOT_FOLDERS]
    assert values("ConditionPathExists") == [f"|{DEFAULT_STATE}/{WISH_NAME}"]
    writable = {path.removeprefix("-") for path in values("ReadWritePaths")[0].split()}
    assert writable == {*map(str, BOOT_FOLDERS), "/etc/story-agent", DEFAULT_STATE}
    assert values("Before") == ["story-agent.service"]
