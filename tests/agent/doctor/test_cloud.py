"""The doctor's checks of the network, against real TLS on loopback."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.doctor import cloud
from agent.doctor.findings import Level
from machine.network import NetworkInfo
from tests.agent.doctor.doctor_parts import is_complete, make_patient
from tests.agent.link.test_opening import hold, listening
from tests.agent.parts import make_profile
from tests.authority import Authority


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
    assert "CA" in found.remedy.zh


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
