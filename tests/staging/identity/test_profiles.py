"""The profile that is flashed: a device's record, and the addresses of this cloud."""

from __future__ import annotations

from pathlib import Path

import pytest

from staging.data_dir import DataDir, Endpoints
from staging.errors import StagingError
from staging.identity import ca
from staging.identity.profiles import profile_file
from staging.store.models import Device
from wire.profile import parse_profile

ENDPOINTS = Endpoints(
    api="http://cloud.example:8600", device_host="cloud.example", device_port=9001
)


def device(**changes: str | None) -> Device:
    record = {"uuid": "0083000000000a", "token": "t" * 32, "bind_token": "6d" * 16, "version": 0}
    return Device(**(record | changes))


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataDir:
    monkeypatch.setattr(ca, "CA_KEY_BITS", 2048)  # key length is not what these tests are about
    return DataDir(tmp_path)


def test_the_file_is_a_profile_that_leads_to_this_cloud(data: DataDir) -> None:
    profile = parse_profile(profile_file(data, device(), ENDPOINTS))
    assert (profile.uuid, profile.token, profile.bind_token) == (
        "0083000000000a", "t" * 32, "6d" * 16,
    )  # fmt: skip
    assert (profile.server_addr, profile.coap_port, profile.version) == ("cloud.example", 9001, 0)
    assert profile.configures == {"otaRepository": "http://cloud.example:8600/tuf"}
    assert profile.rsa_ca_crt == (data.ca / "ca.crt").read_text()


def test_without_a_bind_token_there_is_no_profile(data: DataDir) -> None:
    with pytest.raises(StagingError, match="0083000000000a: its bind token is not known yet"):
        profile_file(data, device(bind_token=None), ENDPOINTS)


def test_before_a_server_ran_nobody_knows_its_addresses(data: DataDir) -> None:
    with pytest.raises(StagingError, match="how it reaches this cloud is not known yet"):
        profile_file(data, device())
