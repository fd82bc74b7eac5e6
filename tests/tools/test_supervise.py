"""The bench's supervisor: it starts a program again, and ends with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tools.processes import SUPERVISOR
from tools.supervise import Supervisor

COUNT = """
import os, sys, signal
from pathlib import Path
path = Path(sys.argv[1])
number = len(path.read_text()) if path.exists() else 0
path.write_text("x" * (number + 1))
if number == 2:
    os.kill(os.getppid(), signal.SIGTERM)
    signal.pause()
sys.exit(number)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_program_is_started_again_until_it_is_told_to_end(
    tmp_path: Path, number: signal.Signals
) -> None:
    code = COUNT.replace("SIGTERM", number.name)
    wait = "import sys; sys.path.insert(0, sys.argv.pop(1)); import tools.supervise as s;"
    wait += "s.Supervisor.run.__defaults__ = (0.01,); sys.exit(s.main())"
    done = subprocess.run(
        [sys.executable, "-P", "-c", wait, str(Path(__file__).parents[2]),
         sys.executable, "-c", code, str(tmp_path / "n")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGTERM % 256, done.stderr
    assert (tmp_path / "n").read_text() == "xxx"
    told = [line.rpartition(" ended with ")[2] for line in done.stderr.splitlines()]
    assert told == ["0, and starts again", "1, and starts again"]


def test_its_own_death_ends_the_program(tmp_path: Path) -> None:
    outlet, inlet = os.pipe()
    supervisor = subprocess.Popen(
        [sys.executable, "-P", SUPERVISOR, sys.executable, "-c",
         "import signal; print('up', flush=True); signal.pause()"],
        stdout=inlet, stderr=subprocess.DEVNULL, cwd=tmp_path,
    )  # fmt: skip
    os.close(inlet)
    with os.fdopen(outlet, "rb", 0) as said:
        assert said.readline() == b"up\n"
        supervisor.kill()
        supervisor.wait()
        assert said.read() == b""  # the last holder of the pipe is gone


def test_without_a_program_it_says_how_it_is_called() -> None:
    done = subprocess.run(
        [sys.executable, "-P", SUPERVISOR], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr[:6]) == (2, "usage:")


def test_a_signal_before_there_is_a_program_is_not_lost() -> None:
    supervisor = Supervisor([sys.executable, "-c", "import signal; signal.pause()"])
    supervisor.end()
    assert supervisor.run() == -signal.SIGTERM
