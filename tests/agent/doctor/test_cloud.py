"""The doctor's checks of the network, against real TLS on loopback."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from agent.doctor import cloud
from agent.doctor.findings import Level
from agent.doctor.patient import Patient
from machine.network import NetworkInfo
from tests.agent.doctor.doctor_parts import is_complete, make_patient, told
from tests.agent.link.test_opening import hold, listening
from tests.agent.parts import make_profile
from tests.authority import Authority
from tests.extras import require
from transport.dial import Address


async def test_a_cloud_that_answers_is_well_and_is_told_nothing(tmp_path: Path) -> None:
    authority = Authority()
    async with listening(hold, authority.server_context()) as port:
        patient = make_patient(tmp_path, profile=make_profile(port, authority.pem))
        found = await cloud.check_cloud(patient)
    assert found.level is Level.GOOD
    found = await cloud.check_cloud(patient)  # it has gone
    assert found.level is Level.BAD
    assert is_complete(found)
    assert found.remedy is not None
    assert "firewall" in found.remedy.en


async def test_another_clouds_certificate_is_refused_with_its_remedy(tmp_path: Path) -> None:
    async with listening(hold, Authority().server_context()) as port:
        patient = make_patient(tmp_path, profile=make_profile(port, Authority().pem))
        found = await cloud.check_cloud(patient)
    assert found.level is Level.BAD
    assert "certificate is refused" in found.cause.en
    assert found.remedy is not None
    assert "rsaCaCrt" in found.remedy.zh


async def test_a_server_that_hangs_has_a_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloud, "PHASE_SECONDS", 0.1)
    async with listening(hold) as port:
        patient = make_patient(tmp_path, profile=make_profile(port, Authority().pem))
        found = await cloud.check_cloud(patient)
    assert found.cause.en.endswith("TLS failed: no answer within 0.1 s")


async def test_a_name_that_nobody_knows(tmp_path: Path) -> None:
    profile = make_profile(1, Authority().pem, server_addr="cloud.invalid")
    found = await cloud.check_cloud(make_patient(tmp_path, profile=profile))
    assert found.level is Level.BAD
    assert found.remedy is not None
    assert "serverAddr" in found.remedy.en


async def test_without_a_profile_it_is_not_looked_for(tmp_path: Path) -> None:
    assert (await cloud.check_cloud(make_patient(tmp_path))).level is Level.SKIPPED


def test_a_default_route(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud, "read_network", lambda: NetworkInfo("WIFI", "", "10.0.0.2"))
    assert cloud.check_network(make_patient(tmp_path)).cause.en == "WIFI 10.0.0.2"
    monkeypatch.setattr(cloud, "read_network", lambda: NetworkInfo(type="none"))
    assert cloud.check_network(make_patient(tmp_path)).level is Level.BAD


def mqtt_patient(folder: Path, port: int, pem: str, toml: str = "") -> Patient:
    configures = {"link": "mqtt", "mqttPort": port}
    return make_patient(folder, toml, profile=make_profile(1, pem, configures=configures))


async def test_over_mqtt_it_is_the_brokers_port_that_is_tried(tmp_path: Path) -> None:
    require("paho")
    authority = Authority()
    async with listening(hold, authority.server_context()) as port:
        found = await cloud.check_cloud(mqtt_patient(tmp_path, port, authority.pem))
    assert told(found) == (
        Level.GOOD, f"127.0.0.1:{port} (mqtt) answers, and its certificate is trusted"
    )  # fmt: skip


async def test_over_mqtt_a_missing_paho_is_named_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    found = await cloud.check_cloud(mqtt_patient(tmp_path, 1, Authority().pem))
    assert found.level is Level.BAD
    assert "paho-mqtt is missing" in found.cause.en
    assert is_complete(found)
    assert found.remedy is not None
    assert "story-agent[mqtt]" in found.remedy.zh


async def test_a_client_certificate_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    require("paho")
    toml = f'[link]\nclient_certificate = "{tmp_path}/none.pem"'
    found = await cloud.check_cloud(mqtt_patient(tmp_path, 1, Authority().pem, toml))
    assert "none.pem: No such file" in found.cause.en
    assert found.remedy is not None
    assert "link.client_certificate" in found.remedy.en


async def test_each_address_is_tried_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening(hold) as port:
        patient = make_patient(tmp_path, profile=make_profile(port, "x"))
        good_host, good_address = await cloud.check_addresses(patient)
        assert [good_host.level, good_address.level] == [Level.GOOD, Level.GOOD]
        living, dead = Address(2, ("127.0.0.1", port)), Address(2, ("127.0.0.1", 1))

        async def two(_host: str, _port: int) -> list[Address]:
            return [dead, living]

        monkeypatch.setattr(cloud, "resolve", two)
        _, first, second = await cloud.check_addresses(patient)
        assert [first.level, second.level] == [Level.HINT, Level.GOOD]
    _, first, second = await cloud.check_addresses(patient)
    assert [first.level, second.level] == [Level.BAD, Level.BAD]
    assert "nothing listens at this port" in first.cause.en
    assert is_complete(first)


async def test_a_name_without_an_address(tmp_path: Path) -> None:
    profile = make_profile(1, "x", server_addr="cloud.invalid")
    (found,) = await cloud.check_addresses(make_patient(tmp_path, profile=profile))
    assert found.check == "dns"
    assert found.level is Level.BAD
    assert is_complete(found)
