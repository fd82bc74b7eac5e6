"""The data folder: its access rights, the server's addresses, and locks between processes."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from staging.data_dir import DataDir, Endpoints, locked, read_endpoints, write_endpoints
from staging.errors import StagingError

HOLD = """
import sys
from pathlib import Path
from staging.data_dir import locked
with locked(Path(sys.argv[1]), "held"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_other_users_have_no_access(tmp_path: Path) -> None:
    data = DataDir(tmp_path / "new" / "data").create()
    assert stat.S_IMODE(data.root.stat().st_mode) == 0o700
    (tmp_path / "file").write_text("")
    with pytest.raises(StagingError, match=r"--data .*/file/data: Not a directory"):
        DataDir(tmp_path / "file" / "data").create()


@pytest.mark.parametrize(
    ("host", "device"), [("10.0.0.9", "10.0.0.9:9001"), ("2001:db8::1", "[2001:db8::1]:9001")]
)
def test_the_addresses_of_the_last_server_run(tmp_path: Path, host: str, device: str) -> None:
    data = DataDir(tmp_path)
    assert read_endpoints(data) is None
    written = Endpoints("http://host:8080", host, 9001)
    write_endpoints(data, written)
    assert read_endpoints(data) == written
    assert written.device == device
    assert stat.S_IMODE(data.endpoints.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [data.endpoints]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "endpoints.json"),
        (b'{"devicePort": "9001"}', "devicePort: got \"?'?9001"),
        (b'{"devicePort": 9001}', "api: missing"),
    ],
)
def test_damaged_addresses_are_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    data = DataDir(tmp_path)
    data.endpoints.write_bytes(content)
    with pytest.raises(StagingError, match=message):
        read_endpoints(data)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_lock_holds_against_another_process_and_ends_with_it(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "lock"
    if kind == "folder":
        path.mkdir()
    with subprocess.Popen(
        (sys.executable, "-c", HOLD, str(path)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StagingError, match="another has it"), locked(path, "another has it", 0):
            pass
        holder.kill()
    with locked(path, "another has it", 0):
        pass
