"""Commands in this process on a folder of their own, and a real server with its commands."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from staging.client import OpenApiClient
from staging.commands import cli
from staging.data_dir import DataDir
from staging.releases import tool
from staging.store.releases import Target
from wire.profile import Profile, parse_profile

PROGRAM = (sys.executable, "-m", "staging.commands.cli")
READY = re.compile(r"ready api=(https?://127\.0\.0\.1:\d+) device=127\.0\.0\.1:(\d+)\n")
UUID = "01a800000072af"

Command = Callable[..., Any]


def run(*arguments: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        (*PROGRAM, *arguments), capture_output=True, text=True, timeout=50, check=False
    )
    assert (done.returncode == 0) is ok, done.stderr
    assert "Traceback" not in done.stderr
    return done


class Cloud:
    """A running server, and its commands."""

    def __init__(self, data: Path, *words: str) -> None:
        self.data = data
        ports = ("--api-port", "0", "--device-port", "0")
        self.process = subprocess.Popen(
            (*PROGRAM, "serve", "--data", str(data), *ports, *words),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        match = READY.fullmatch(line)
        assert match, (line, self.process.stderr and self.process.stderr.read())
        self.api, self.device_port = match[1], int(match[2])

    def command(self, *words: str) -> Any:
        return json.loads(run(*words, "--data", str(self.data), "--json").stdout)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[str, str]:
        self.process.send_signal(number)
        return self.process.communicate(timeout=20)


@contextlib.contextmanager
def serving(data: Path) -> Iterator[Cloud]:
    """Run a server on ``data``, which must end without a traceback."""
    made = Cloud(data)
    yield made
    rest, log = made.stop()
    assert made.process.returncode == 0
    assert rest == ""
    assert "Traceback" not in log


def flash(cloud: Cloud) -> Profile:
    """Add the device and return its profile."""
    added = cloud.command("device", "add", "--uuid", UUID)
    assert list(added) == ["uuid", "token", "bindToken"]
    found = parse_profile(run("device", "profile", UUID, "--data", str(cloud.data)).stdout)
    assert (found.token, found.bind_token) == (added["token"], added["bindToken"])
    return found


@contextlib.contextmanager
def binding(cloud: Cloud, profile: Profile) -> Iterator[OpenApiClient]:
    """Add an app and a user, and bind the device to the user."""
    app = cloud.command("app", "add", "tester's app", "--type", "web")
    granted = cloud.command("token", "--app", str(app["appId"]), "--user", "tester")
    assert granted["expires_in"] == 5184000
    token = granted["access_token"]
    with OpenApiClient(cloud.api, app["apikey"], app["secret"], token) as made:
        assert made.validate()
        assert made.bind(profile.uuid, profile.bind_token)
        yield made


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A server for the folder's tests; its only device, see `profile`, never connects."""
    with serving(tmp_path_factory.mktemp("cloud") / "data") as made:
        yield made


@pytest.fixture(scope="session")
def profile(cloud: Cloud) -> Profile:
    return flash(cloud)


@pytest.fixture(scope="session")
def client(cloud: Cloud, profile: Profile) -> Iterator[OpenApiClient]:
    with binding(cloud, profile) as made:
        yield made


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "cloud"


@pytest.fixture
def command(data: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*words: str) -> Any:
        assert cli.main([*words, "--data", str(data), "--json"]) == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def mistake(data: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*words: str) -> str:
        assert cli.main([*words, "--data", str(data)]) == 1
        printed = capsys.readouterr()
        # Other tests in this process may have left log lines on stderr.
        said = [line for line in printed.err.splitlines() if line.startswith("story-cloud: ")]
        assert (printed.out, len(said)) == ("", 1)
        return said[0]

    return run


@pytest.fixture
def no_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    def add(
        _data: DataDir, _file: Path, product: str, version: str, _kind: str, _sbom_to: Path
    ) -> Target:
        return Target(f"{product}/{version}.tar", 521, "0" * 32, "0" * 64)

    monkeypatch.setattr(tool, "ensure_repository", lambda _data: None)
    monkeypatch.setattr(tool, "add", add)
