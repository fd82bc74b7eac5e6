"""A server process that waits for what is not there still ends when it is told to."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from staging.broker.host import ADDRESS, free_port
from staging.data_dir import DataDir, Endpoints, write_endpoints
from staging.identity import ca
from tests.extras import require

# Only turns a hang into a failure.
DEADLINE = 60.0
WORKER = """
import logging, sys
from pathlib import Path
from staging.data_dir import DataDir
from staging.server import ServeOptions, run
logging.basicConfig(level=logging.WARNING)
data = DataDir(Path(sys.argv[1]))
run(ServeOptions(data, data.root / "db", "127.0.0.1", 0, 0, False, worker="w1"), print)
"""


def test_a_worker_whose_broker_is_away_ends_by_sigterm(tmp_path: Path) -> None:
    require("paho")
    data = DataDir(tmp_path)
    data.create()
    ca.ensure(data.ca, ("127.0.0.1",))
    write_endpoints(data, Endpoints("http://127.0.0.1:1", "127.0.0.1", 1, 1))
    (tmp_path / "broker").mkdir()
    (tmp_path / "broker" / ADDRESS).write_text(json.dumps({"port": free_port(), "password": "x"}))
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, tmp_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    ) as worker:  # fmt: skip
        try:
            assert worker.stderr is not None
            assert any("cannot connect" in line for line in worker.stderr)
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(DEADLINE) == 0
            assert worker.stdout is not None
            assert worker.stdout.read() == ""  # it has not said that it serves
        finally:
            worker.kill()
