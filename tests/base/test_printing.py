"""Commands whose output nobody reads: in real processes, with real pipes and /dev/full."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MUCH = "print('x' * 10_000_000)"
LITTLE = "print('x')"
HELP = "import argparse; argparse.ArgumentParser().parse_args(['--help'])"


def run(code: str, redirection: str, unbuffered: str = "") -> subprocess.CompletedProcess[str]:
    program = (
        "import sys; from base.printing import run_printing\n"
        f"def work():\n    {code}\n    return 0\n"
        "sys.exit(run_printing('prog', work))"
    )
    return subprocess.run(
        ["bash", "-c", f'set -o pipefail; "$0" -c "$1" {redirection}', sys.executable, program],
        capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("code", "redirection", "said", "ended"),
    [
        (MUCH, "| head -c 1", "", 1),
        (LITTLE, "| true", "", None),
        (HELP, "| true", "", None),
        ("print('x' * 10_000_000, file=sys.stderr)", "2>&1 | head -c 1 >/dev/null", "", 1),
        (
            "from base.printing import wait_while_read as w; print('x', flush=True); assert not w(3600)",
            "| head -1 >/dev/null",
            "",
            0,
        ),
        ("from base.printing import wait_while_read as w; assert w(0.0)", "", "", 0),
        ("from base.printing import wait_while_read as w; assert w(0.0)", ">&-", "", 0),
        (LITTLE, ">/dev/full", "prog: output: No space left on device\n", 1),
        (HELP, ">/dev/full", "prog: output: No space left on device\n", 1),
        (LITTLE, ">&-", "", 0),
        (
            "import sys; sys.stdout.isatty(); sys.stdout.flush(); print(sys.stdout.encoding)",
            ">&-",
            "",
            0,
        ),
        ("import sys; sys.stdout.buffer.write(b'x')", ">&-", "", 0),
        ("import sys; assert sys.stdin.read() == ''", "<&-", "", 0),
        ("import sys; print('x', file=sys.stderr)", "2>&-", "", 0),
        ("raise SystemExit(2)", "", "", 2),
        ("import os; os.environ; print('好')", "", "", 0),
    ],
)
def test_no_traceback(code: str, redirection: str, said: str, ended: int | None) -> None:
    done = run(code, redirection)
    assert done.stderr == said
    assert ended is None or done.returncode == ended


# A command that tells of its files' errors, as most do.
OF_FILES = """try:
        {}
    except OSError as error:
        print("the card:", error.strerror, file=sys.stderr)
        return 3"""


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "code", [LITTLE, "print('x', flush=True)", MUCH, "sys.stdout.buffer.write(bytes(10_000_000))"]
)
def test_a_full_output_is_no_fault_of_the_command_s_files(code: str, unbuffered: str) -> None:
    done = run(OF_FILES.format(code), ">/dev/full", unbuffered)
    assert (done.stderr, done.returncode) == ("prog: output: No space left on device\n", 1)


@pytest.mark.parametrize(("unbuffered", "printed"), [("", ""), ("1", "x\n")])
def test_an_output_that_is_to_have_no_buffer_has_none(unbuffered: str, printed: str) -> None:
    assert run("print('x'); __import__('os')._exit(0)", "", unbuffered).stdout == printed


def test_an_error_of_a_file_is_still_the_command_s() -> None:
    done = run(
        OF_FILES.format("print('x'); __import__('pathlib').Path('/dev/full').write_text('x')"), ""
    )
    assert (done.stderr, done.returncode) == ("the card: No space left on device\n", 3)
    assert done.stdout == "x\n"


@pytest.mark.parametrize("redirection", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_no_file_gets_the_number_of_a_closed_stream(tmp_path: Path, redirection: str) -> None:
    kept = tmp_path / "kept"
    code = (
        f"import os, subprocess; kept = open({str(kept)!r}, 'w'); kept.write(str(kept.fileno() > 2)); kept.flush(); "
        "os.write(1, b'lost'); subprocess.run(['sh', '-c', 'echo lost; echo lost >&2'])"
    )
    done = run(code, f"{redirection} >{os.devnull}" if ">" not in redirection else redirection)
    assert done.returncode == 0
    assert kept.read_text() == "True"


def test_letters_that_the_terminal_lacks_are_question_marks() -> None:
    done = run("print('好✓')", "| LC_ALL=C cat")
    assert "Traceback" not in done.stderr
    latin = subprocess.run(
        [sys.executable, "-c",
         "from base.printing import run_printing; run_printing('p', lambda: print('好✓') or 0)"],
        env={"PYTHONIOENCODING": "latin-1"}, capture_output=True, check=True,
    )  # fmt: skip
    assert latin.stdout == b"??\n"
