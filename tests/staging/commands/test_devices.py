"""Devices as commands: their profiles to flash, and their list."""

from __future__ import annotations

from pathlib import Path

import pytest

from staging.client import OpenApiClient
from staging.commands import cli
from tests.staging.commands.conftest import UUID, Cloud, run
from wire.profile import Profile, parse_profile


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


def test_profile_before_any_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["device", "add", "--uuid", UUID, "--data", str(tmp_path)]) == 0
    assert cli.main(["device", "profile", UUID, "--data", str(tmp_path)]) == 1
    assert "no server ran on this folder yet" in capsys.readouterr().err


def test_the_list_has_the_consoles_filters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tests staging.commands.device_lists too."""

    def ask(*words: str) -> tuple[int, str, str]:
        code = cli.main(["device", *words, "--data", str(tmp_path)])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    for uuid in ("a" * 14, "b" * 14):
        ask("add", "--uuid", uuid)
    assert ask("tag", "a" * 14, "B" * 14, "--add", "Bench") == (
        0, f"{'a' * 14} Bench\n{'b' * 14} Bench\n", "",
    )  # fmt: skip
    assert ask("tag", "b" * 14, "--remove", "BENCH", "--add", "x")[1] == f"{'b' * 14} x\n"
    code, out, _ = ask("list", "--tag", "bench", "--presence", "never", "--batch", "0000")
    assert (code, out.count("\n")) == (0, 1)
    assert out.startswith("a" * 14)
    assert "tags=Bench" in out
    assert ask("list", "--search", "nothing")[1] == "no devices\n"
    assert ask("list", "--sort", "device", "--csv", "-")[1].splitlines()[1].startswith("a" * 14)
    table = tmp_path / "devices.csv"
    assert ask("list", "--csv", str(table))[1] == f"2 devices: {table}\n"
    assert table.read_bytes().startswith(b"\xef\xbb\xbfuuid,")
    for words, told in (
        (("list", "--presence", "maybe"), "presence: got"),
        (("list", "--sort", "colour"), "sort: got"),
        (("tag", "a" * 14), "tags: "),
        (("tag", "a" * 14, "f" * 14, "--add", "y"), "nothing was tagged"),
    ):
        code, _, err = ask(*words)
        assert code == 1
        assert told in err
    assert cli.main(["audit", "list", "--data", str(tmp_path)]) == 0
    tagged = [line for line in capsys.readouterr().out.splitlines() if "device.tag" in line]
    assert [("+Bench" in line, "-BENCH" in line) for line in tagged] == [
        (False, True), (True, False), (True, False),
    ]  # fmt: skip
