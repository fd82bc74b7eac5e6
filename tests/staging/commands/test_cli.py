"""``story-cloud`` as people and scripts run it: real processes, while a server runs."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from staging.client import OpenApiClient, OpenApiError
from staging.commands import cli
from staging.store.products import DATA_POINTS
from transport.connection import Connection
from transport.framed import FramedEndpoint
from wire.codes import Code
from wire.exchange import Answer, Request
from wire.fields import dump_object
from wire.profile import Profile, parse_profile
from wire.reports import (
    REGISTER_PATH,
    REPORT_PATH,
    Credentials,
    registration_payload,
    report_payload,
    report_query,
)

COMMAND = (sys.executable, "-m", "staging.commands.cli")
READY = re.compile(r"ready api=(http://127\.0\.0\.1:\d+) device=127\.0\.0\.1:(\d+)\n")
UUID = "01a800000072af"
EXAMPLE = Path(__file__).parents[3] / "examples" / "app.py"


def run(*arguments: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        (*COMMAND, *arguments), capture_output=True, text=True, timeout=50, check=False
    )
    assert (done.returncode == 0) is ok, done.stderr
    assert "Traceback" not in done.stderr
    return done


class Cloud:
    """A running server, and its commands."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.process = subprocess.Popen(
            (*COMMAND, "serve", "--data", str(data), "--api-port", "0", "--device-port", "0"),
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


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    made = Cloud(tmp_path_factory.mktemp("cloud") / "data")
    yield made
    rest, log = made.stop()
    assert made.process.returncode == 0
    assert rest == ""
    assert "Traceback" not in log


@pytest.fixture(scope="module")
def profile(cloud: Cloud) -> Profile:
    added = cloud.command("device", "add", "--uuid", UUID)
    assert list(added) == ["uuid", "token", "bindToken"]
    found = parse_profile(run("device", "profile", UUID, "--data", str(cloud.data)).stdout)
    assert (found.token, found.bind_token) == (added["token"], added["bindToken"])
    return found


@pytest.fixture(scope="module")
def client(cloud: Cloud, profile: Profile) -> Iterator[OpenApiClient]:
    app = cloud.command("app", "add", "tester's app", "--type", "web")
    granted = cloud.command("token", "--app", str(app["appId"]), "--user", "tester")
    assert granted["expires_in"] == 5184000
    token = granted["access_token"]
    with OpenApiClient(cloud.api, app["apikey"], app["secret"], token) as made:
        assert made.validate()
        assert made.bind(profile.uuid, profile.bind_token)
        yield made


def package(path: Path, version: str) -> Path:
    """Let the release tool build a package of this source tree."""
    file = path / f"{version}.tar.gz"
    command = (sys.executable, "-m", "release.cli", "build")
    options = ("--version", version, "--output", str(file))
    subprocess.run((*command, *options), check=True, capture_output=True, timeout=50)
    return file


def test_profile(cloud: Cloud, profile: Profile) -> None:
    assert (profile.server_addr, profile.coap_port) == ("127.0.0.1", cloud.device_port)
    assert profile.configures == {"otaRepository": f"{cloud.api}/tuf"}
    assert profile.rsa_ca_crt == (cloud.data / "ca" / "ca.crt").read_text()


def test_profile_for_another_address(cloud: Cloud, profile: Profile) -> None:
    options = ("--host", "10.0.0.9", "--device-port", "9001", "--api-port", "80")
    text = run("--data", str(cloud.data), "device", "profile", profile.uuid, *options).stdout
    other = parse_profile(text)
    assert (other.server_addr, other.coap_port) == ("10.0.0.9", 9001)
    assert other.configures == {"otaRepository": "http://10.0.0.9:80/tuf"}


def test_lists(cloud: Cloud, client: OpenApiClient) -> None:
    assert client.info(UUID)["uuid"] == UUID
    (device,) = cloud.command("device", "list")["devices"]
    assert (device["uuid"], device["osVersion"]) == (UUID, "0.0.0.0")
    (app,) = cloud.command("app", "list")["apps"]
    assert app["type"] == "web"
    assert "secret" not in app
    lines = run("--data", str(cloud.data), "device", "list").stdout
    assert lines.startswith(f"{UUID} UNACTIVATED version=0.0.0.0 batch=0000 account=5_")


def test_client_raises_by_code(cloud: Cloud, client: OpenApiClient) -> None:
    with pytest.raises(OpenApiError) as caught:
        client.info("f" * 14)
    assert (caught.value.code, caught.value.http_status) == ("1209", 404)
    with pytest.raises(OpenApiError) as caught:
        client.send(UUID, "GET", "power")
    assert caught.value.http_status == 503
    assert client.online([UUID]) == {UUID: False}
    nobody = OpenApiClient(cloud.api, "k", "s", "t", nonce=lambda: "n" * 16)
    with nobody, pytest.raises(OpenApiError, match="X-IOT-APP"):
        nobody.validate()


async def test_a_device_over_the_link(
    cloud: Cloud, profile: Profile, client: OpenApiClient
) -> None:
    """Go through the tour without updates: register, describe, control, report, history."""

    async def answer(request: Request) -> Answer:
        if request.path == ("resource",):
            return Answer(Code.CONTENT, dump_object(DATA_POINTS))
        return Answer(Code.CONTENT, b"75")

    context = ssl.create_default_context(cadata=profile.rsa_ca_crt)
    reader, writer = await asyncio.open_connection(
        profile.server_addr, profile.coap_port, ssl=context
    )
    endpoint = await FramedEndpoint.create()
    connection = Connection(reader, writer)
    serving = asyncio.create_task(endpoint.serve(connection, answer))
    await asyncio.sleep(0)
    me = Credentials(profile.uuid, profile.token)
    payload = registration_payload(me)
    reply = await endpoint.request(connection, "POST", REGISTER_PATH, payload, deadline=10)
    assert reply.code == Code.CONTENT
    for number in range(3):
        reply = await endpoint.request(
            connection,
            "POST",
            REPORT_PATH,
            report_payload({"volume": number}),
            query=report_query(me),
            deadline=10,
        )
        assert reply.code == Code.CHANGED
    assert await asyncio.to_thread(client.online, [UUID]) == {UUID: True}
    sent = await asyncio.to_thread(client.send, UUID, "GET", "power")
    assert sent == {"code": "2.05", "content": "75", "name": "power"}
    assert await asyncio.to_thread(client.resource, UUID) == DATA_POINTS
    page = await asyncio.to_thread(lambda: client.history(UUID, limit=2))
    assert [entry["value"] for entry in page.entries] == [75, 2]
    whole = await asyncio.to_thread(lambda: list(client.whole_history(UUID, kind="REPORT")))
    assert [entry["value"] for entry in whole] == [2, 1, 0]
    read = await asyncio.to_thread(lambda: list(client.whole_history(UUID, kind="RESOURCE")))
    assert [(entry["key"], entry["value"]) for entry in read] == [("power", 75)]
    latest = await asyncio.to_thread(client.realtime, UUID, "volume")
    assert latest is not None
    assert latest["value"] == 2
    keys = (client._apikey, client._secret, client._token)
    words = (sys.executable, str(EXAMPLE), cloud.api, *keys, UUID, profile.bind_token)
    example = await asyncio.to_thread(
        subprocess.run, words, capture_output=True, text=True, timeout=50, check=False
    )
    assert example.returncode == 0, example.stderr
    assert example.stdout.startswith("tester has 故事机\n播放内容 75\n音量 75\n")
    assert example.stdout.endswith("update: None\n")
    await endpoint.shutdown()
    await serving


def test_the_client_has_every_endpoint(
    cloud: Cloud, profile: Profile, client: OpenApiClient
) -> None:
    assert client.account()["userName"] == "tester"
    assert client.rename(UUID, "小熊")["name"] == "小熊"
    assert [device["name"] for device in client.devices()] == ["小熊"]
    assert client.device_page(1).devices == []
    assert client.device_page(1).total == 1
    assert client.info_by_token(UUID, profile.bind_token)["projectName"] == "story-machine"
    assert client.realtime(UUID, "nothing") is None
    with pytest.raises(OpenApiError) as caught:
        client.version(99)
    assert caught.value.code == "1506"
    assert httpx.get(f"{cloud.api}/docs").status_code == 200


def test_release_and_strategy(cloud: Cloud, client: OpenApiClient, tmp_path: Path) -> None:
    file = package(tmp_path, "1.1.0")
    words = ("release", "add", str(file), "--version", "1.1.0", "--description", "first")
    added = cloud.command(*words)
    assert (added["size"], added["version"]) == (file.stat().st_size, "1.1.0")
    assert added["md5"] == hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
    assert client.new_version(UUID) is None
    planned = cloud.command("strategy", "add", "--version", "1.1.0", "--from", "0.0.0.0")
    assert planned["status"] == "DRAFT"
    cloud.command("strategy", "publish", str(planned["strategyId"]))
    offer = client.new_version(UUID)
    assert offer is not None
    assert (offer["packageId"], offer["type"]) == (added["packageId"], "PASSIVE")
    assert client.update(UUID, offer["packageId"])
    assert client.update_status(UUID)["status"] == "CREATED"

    served = httpx.get(cloud.api + added["path"])
    assert served.content == file.read_bytes()
    part = httpx.get(
        cloud.api + added["path"],
        headers={"Range": "bytes=10-19", "If-Range": served.headers["etag"]},
    )
    assert (part.status_code, part.content) == (206, file.read_bytes()[10:20])
    assert httpx.get(f"{cloud.api}/tuf/metadata/timestamp.json").status_code == 200
    assert httpx.get(f"{cloud.api}/tuf/metadata/../../tuf-keys").status_code == 404

    root = cloud.command("release", "root")
    assert root["root"]["signed"]["_type"] == "root"
    assert run("release", "root", "--data", str(cloud.data)).stdout.strip() == root["path"]
    assert [r["version"] for r in cloud.command("release", "list")["releases"]] == ["1.1.0"]
    assert [s["status"] for s in cloud.command("strategy", "list")["strategies"]] == ["PUBLISHED"]

    again = run(*words, "--data", str(cloud.data), ok=False)
    assert again.stderr == "story-cloud: version 1.1.0: there is a package already\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("device", "add", "--uuid", "xyz"), 'uuid: got "xyz", expected 14 hexadecimal digits'),
        (("device", "profile", "f" * 14), f"device {'f' * 14}: there is none"),
        (("token", "--app", "99", "--user", "u"), "app 99: there is none"),
        (("app", "add", "a", "--type", "ios"), "--bundle-id missing"),
        (("app", "add", "a", "--type", "android"), "--package and --apk-signature missing"),
        (("release", "add", "none.tar", "--version", "9.0"), "there is no such file"),
        (("release", "add", "none.tar", "--version", "x"), 'version: got "x"'),
        (("strategy", "add", "--version", "9.9"), "version 9.9: there is no package"),
        (("strategy", "publish", "99"), "strategy 99: there is none"),
    ],
)
def test_mistakes_are_one_line(
    cloud: Cloud, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*words, "--data", str(cloud.data), "--json"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("story-cloud: ")
    assert said in printed.err
    assert printed.err.count("\n") == 1


def test_profile_before_any_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["device", "add", "--uuid", UUID, "--data", str(tmp_path)]) == 0
    assert cli.main(["device", "profile", UUID, "--data", str(tmp_path)]) == 1
    assert "no server ran on this folder yet" in capsys.readouterr().err


def test_default_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    run("device", "add")
    assert (tmp_path / "story-cloud" / "cloud.sqlite").exists()
    assert (tmp_path / "story-cloud").stat().st_mode & 0o777 == 0o700


def test_secrets_of_apps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    android = ("--type", "android", "--package", "com.x", "--apk-signature", "AB")
    ios = ("--type", "ios", "--bundle-id", "com.y")
    found = []
    for words in (android, ios):
        assert cli.main(["--data", str(tmp_path), "--json", "app", "add", "a", *words]) == 0
        found.append(json.loads(capsys.readouterr().out)["secret"])
    assert found == ["com.xAB", "com.y"]


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


def test_sigint_ends_it_and_nothing_is_forgotten(tmp_path: Path) -> None:
    first = Cloud(tmp_path)
    added = first.command("device", "add")
    app = first.command("app", "add", "a", "--type", "web")
    token = first.command("token", "--app", str(app["appId"]), "--user", "u")["access_token"]
    keys = (app["apikey"], app["secret"], token)
    with OpenApiClient(first.api, *keys, nonce=lambda: "n" * 16) as client:
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
