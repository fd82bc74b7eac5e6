"""The server as a process: its ports, its folder, its end.

Tests staging.api.http_server and staging.server too.
"""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest

from staging.client import OpenApiClient, OpenApiError
from staging.commands import cli
from staging.data_dir import locked
from tests.staging.commands.conftest import Cloud, run


@pytest.mark.parametrize("option", ["--api-port", "--device-port"])
def test_taken_port(tmp_path: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = {"--api-port": "0", "--device-port": "0"} | {option: str(port)}
        words = [word for pair in ports.items() for word in pair]
        done = run("serve", "--data", str(tmp_path), *words, ok=False)
    assert done.stdout == ""
    assert f"{option} {port}: cannot listen on 127.0.0.1: Address already in use" in done.stderr


def test_second_server_on_the_same_folder(cloud: Cloud) -> None:
    ports = ("--api-port", "0", "--device-port", "0")
    done = run("serve", "--data", str(cloud.data), *ports, ok=False)
    assert "another story-cloud serves this folder already" in done.stderr


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_port_that_is_none(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["serve", "--api-port", port])
    assert caught.value.code == 2
    assert f"got {port!r}, expected a port from 0 to 65535" in capsys.readouterr().err


def test_a_worker_on_another_store_than_the_servers_postgresql_is_refused(tmp_path: Path) -> None:
    done = run("worker", "--data", str(tmp_path), "--name", "w1", ok=False)
    assert done.stderr.startswith("story-cloud: --database: a worker needs the server's PostgreSQL")


def test_a_second_worker_of_one_name_is_refused(tmp_path: Path) -> None:
    words = ("worker", "--data", str(tmp_path), "--name", "w1", "--database", "postgresql://h/d")
    with locked(tmp_path / ".worker-w1.lock", "the first worker"):
        assert "another worker is named w1 already" in run(*words, ok=False).stderr
    assert "no story-cloud serve ran on it yet" in run(*words, ok=False).stderr


def test_sigint_ends_it_sighup_does_not_and_nothing_is_forgotten(tmp_path: Path) -> None:
    first = Cloud(tmp_path)
    added = first.command("device", "add")
    app = first.command("app", "add", "a", "--type", "web")
    token = first.command("token", "--app", str(app["appId"]), "--user", "u")["access_token"]
    keys = (app["apikey"], app["secret"], token)
    with OpenApiClient(first.api, *keys, nonce=lambda: "n" * 16) as client:
        first.process.send_signal(signal.SIGHUP)
        assert client.validate()
        # An open connection must not delay the shutdown.
        first.stop(signal.SIGINT)
    assert first.process.returncode == 0
    authority = (tmp_path / "ca" / "ca.crt").read_bytes()

    second = Cloud(tmp_path)
    assert second.command("device", "list")["devices"][0]["uuid"] == added["uuid"]
    replaying = OpenApiClient(second.api, *keys, nonce=lambda: "n" * 16)
    with replaying, pytest.raises(OpenApiError, match="nonce was used"):
        replaying.validate()
    second.stop()
    assert (tmp_path / "ca" / "ca.crt").read_bytes() == authority
