"""Completions in real shells, and man pages that groff reads without a warning."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tools import manuals


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("share")
    assert len(manuals.write_all(folder, "2026-11-26")) == 18
    return folder


def complete(share: Path, *words: str) -> set[str]:
    program = words[0]
    script = (
        'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        f"_{program.replace('-', '_')}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    return set(
        subprocess.run(
            ["bash", "-c", script, share / "bash-completion/completions" / program, *words],
            capture_output=True, text=True, check=True, timeout=30,
        ).stdout.split()
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "some"),
    [
        (("story-agent", "sta"), {"status"}),
        (("story-agent", "status", "--w"), {"--watch"}),
        (("story-agent", "config", ""), {"check", "show", "schema", "--json"}),
        (("story-agent", "--lang", "zh", "listen", "h"), {"hold"}),
        (("story-cloud", "device", "ad"), {"add"}),
        (("story-agent", "status", "x"), set()),
        (("story-release", "bu"), {"build"}),
        (("story-fleet", "--da"), {"--data"}),
    ],
)
def test_bash(share: Path, words: tuple[str, ...], some: set[str]) -> None:
    found = complete(share, *words)
    assert some <= found
    assert all(word.startswith(words[-1]) for word in found)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_reads_its_file(share: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed; `make setup` does it")
    folder = {"bash": "bash-completion", "zsh": "zsh", "fish": "fish"}[shell]
    for file in (share / folder).rglob("*story-*"):
        subprocess.run([shell, "-n", file], check=True, timeout=30)


@pytest.mark.parametrize("place", ["man/man1", "man/zh_CN/man1"])
@pytest.mark.parametrize("program", ["story-agent", "story-cloud"])
def test_man_pages(share: Path, place: str, program: str) -> None:
    page = share / place / f"{program}.1"
    text = page.read_text("utf-8")
    assert text.startswith(f'.TH "{program.upper()}" "1" "2026-11-26"')
    assert ("退出码" in text) is (place != "man/man1" and program == "story-agent")
    if shutil.which("groff") is None:
        pytest.skip("groff-base is not installed")
    done = subprocess.run(
        ["groff", "-man", "-Kutf8", "-Tutf8", "-ww", "-z", page], capture_output=True, text=True,
        check=True, timeout=30,
    )  # fmt: skip
    assert "error" not in done.stderr


def test_the_same_parsers_give_the_same_bytes(share: Path, tmp_path: Path) -> None:
    written = list(manuals.write_all(tmp_path, "2026-11-26"))
    assert written
    for path in written:
        assert path.read_bytes() == (share / path.relative_to(tmp_path)).read_bytes()
