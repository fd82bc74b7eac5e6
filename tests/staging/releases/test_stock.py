"""A package that is not the signed one is found, said, not offered, not ordered and not served, until it is put back."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import httpx
import pytest

from staging.api.app import create_app
from staging.data_dir import DataDir
from staging.errors import StagingError
from staging.gateway.gateway import Gateway
from staging.releases import stock
from staging.releases.stock import Stock
from staging.services import Services
from staging.store import Database, devices, ota, releases, rollout_acts
from staging.store.nonces import Nonces
from staging.store.releases import StrategyType, Target

NOW = 1_790_000_000_000
BYTES = b"a package" * 1000
SHA256 = hashlib.sha256(BYTES).hexdigest()
NAME = f"小熊/{SHA256}.1.1.0.tar.gz"
QUOTED = f"%E5%B0%8F%E7%86%8A/{SHA256}.1.1.0.tar.gz"


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    file = tmp_path / "tuf" / "targets" / NAME
    file.parent.mkdir(parents=True)
    file.write_bytes(BYTES)
    return DataDir(tmp_path)


def damage(file: Path, how: str) -> None:
    if how == "missing":
        file.unlink()
    elif how == "a folder":
        file.unlink()
        file.mkdir()
    elif how == "a bit":
        file.write_bytes(BYTES[:-1] + bytes([BYTES[-1] ^ 1]))
    else:
        file.write_bytes(BYTES[: int(how)])


@pytest.mark.parametrize("how", ["missing", "a folder", "a bit", "0", "500"])
def test_each_damage_is_found_and_what_is_put_back_is_offered_again(
    database: Database, data: DataDir, how: str
) -> None:
    file = data.tuf / "targets" / NAME
    target = Target(QUOTED, len(BYTES), "0" * 32, SHA256)
    package = database.call(releases.add_package, "1.1.0", target, "", NOW)
    device = database.call(devices.add, None, NOW)
    strategy = database.call(releases.add_strategy, "1.1.0", StrategyType.PASSIVE, [], [], NOW)
    database.call(rollout_acts.start, strategy.id, NOW)
    assert stock.look(database, data) == ()
    assert database.call(ota.new_version, device.id) is not None
    task = database.call(ota.create, device.id, package.id, strategy.id, NOW)
    damage(file, how)
    (found,) = stock.look(database, data)
    assert found.name == NAME
    assert f"{file} " in found.text
    assert SHA256 in found.text
    assert "story-cloud check" in found.text
    assert database.call(ota.unsent, device.id, "http://c") is None  # it waits
    database.call(ota.cancel, task.id, "not now", NOW)
    assert database.call(ota.new_version, device.id) is None
    with pytest.raises(StagingError, match="not the one that was signed"):
        database.call(releases.add_strategy, "1.1.0", StrategyType.SILENT, [], [], NOW)
    if file.is_dir():
        file.rmdir()
    file.write_bytes(BYTES)
    assert stock.look(database, data) == ()
    assert database.call(ota.new_version, device.id) is not None


def test_a_file_is_read_again_when_it_has_changed(data: DataDir) -> None:
    known, file = Stock(data.tuf / "targets"), data.tuf / "targets" / NAME
    assert not known.is_known(NAME)
    assert (known.fault(NAME), known.is_known(NAME)) == (None, True)
    before = file.stat()
    file.write_bytes(BYTES[::-1])
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert known.fault(NAME) is None  # nothing shows it: a new stock finds it
    assert Stock(data.tuf / "targets").fault(NAME) == "is not the signed one"
    os.utime(file, ns=(0, 0))
    assert known.fault(NAME) == "is not the signed one"
    for other in (f"{SHA256}.1.1.0.map", "1.1.0.tar.gz", "", "../x", "a\0b"):
        assert (known.fault(other), known.is_known(other)) == (None, True)


@pytest.mark.one_database
async def test_a_damaged_package_is_not_served(
    database: Database, data: DataDir, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = Gateway(database, api_url=lambda: "")
    services = Services(database, gateway, Nonces(database, lambda: NOW), lambda: NOW)
    transport = httpx.ASGITransport(create_app(services, data.tuf))
    async with httpx.AsyncClient(transport=transport, base_url="http://c") as client:
        url = f"/tuf/targets/{QUOTED}"
        assert (await client.get(url)).content == BYTES
        (data.tuf / "targets" / NAME).write_bytes(BYTES[:-5])
        for _ in range(2):
            answer = await client.get(url, headers={"Range": "bytes=0-9"})
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "600")
        assert caplog.text.count("it is not served") == 1
        (data.tuf / "targets" / NAME).unlink()
        assert (await client.get(url)).status_code == 404


def test_a_bit_that_changes_without_a_trace_is_found_within_hours(data: DataDir) -> None:
    file, now = data.tuf / "targets" / NAME, [0.0]
    kept = Stock(data.tuf / "targets", lambda: now[0])
    assert kept.fault(NAME) is None
    before = file.stat()
    with file.open("r+b") as opened:
        opened.write(b"A")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    now[0] = 3600.0
    assert kept.is_known(NAME)
    assert kept.fault(NAME) is None
    now[0] = 6 * 3600.0 + 1
    assert not kept.is_known(NAME)
    assert kept.fault(NAME) is not None
