"""The example package of a data point: built as a wheel, put where pip puts it, and served by a real agent."""

from __future__ import annotations

import asyncio
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import aiocoap
import pytest
from hatchling.builders.wheel import WheelBuilder

from agent.local.client import LocalClient
from agent.product_points import GROUP
from machine.errors import UnavailableError
from tests.agent.first.parts import profile_bytes
from tests.agent.parts import DEADLINE
from tests.agent.test_cli import Agent
from tests.ports import free_port
from wire.datapoints import parse_value

SOURCE = Path(__file__).parents[2] / "examples/story-thermometer"
SENSOR = "28-0316a2795b3c"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `pip install --target` leaves it."""
    folder = tmp_path_factory.mktemp("site")
    builder = WheelBuilder(str(SOURCE))
    (made,) = builder.build(
        directory=str(tmp_path_factory.mktemp("wheel")), versions=["standard"], clean=False
    )
    with zipfile.ZipFile(made) as wheel:
        wheel.extractall(folder)
    return folder


@pytest.fixture
def sensors(tmp_path: Path) -> Path:
    folder = tmp_path / "devices"
    (folder / SENSOR).mkdir(parents=True)
    (folder / "w1_bus_master1").mkdir()
    (folder / SENSOR / "temperature").write_text("21562\n")
    return folder


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    """One that has no cloud, which a thermometer needs not."""
    profile = tmp_path / "profile.json"
    profile.write_bytes(profile_bytes())
    made = Agent(tmp_path, profile)
    yield made
    if made.process is not None:
        made.process.kill()
        made.process.wait()


BROKEN = "import nothing_of_this_name\n"


def add_broken_package(folder: Path) -> None:
    """Put a package beside the good one, which cannot be imported, and one that takes a name of ours."""
    (folder / "broken.py").write_text(BROKEN)
    (folder / "greedy.py").write_text(
        "from dataclasses import replace\n"
        "from story_thermometer import ThermometerPoint\n"
        "class Greedy(ThermometerPoint):\n"
        "    description = replace(ThermometerPoint.description, name='volume')\n"
    )
    info = folder / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\nbroken = broken:make\ngreedy = greedy:Greedy\n")  # fmt: skip


async def ask_by_coap(port: int, name: str) -> str:
    context = await aiocoap.Context.create_client_context()
    try:
        message = aiocoap.Message(code=aiocoap.GET, uri=f"coap://127.0.0.1:{port}/{name}")
        async with asyncio.timeout(DEADLINE):
            return str((await context.request(message).response).payload.decode())
    finally:
        await context.shutdown()


def test_packages_beside_the_agents_own_data_points_good_and_broken_ones(
    installed: Path, sensors: Path, agent: Agent, tmp_path: Path
) -> None:
    port = free_port()
    config = tmp_path / "agent.toml"
    config.write_text(f"[local]\ncoap_port = {port}\n")
    add_broken_package(tmp_path)
    found = {"PYTHONPATH": f"{installed}:{tmp_path}", "STORY_THERMOMETER": str(sensors)}
    agent.start("--config", config, environment={**found, "PYTHONASYNCIODEBUG": ""})
    local = LocalClient(agent.state / "agent.sock")

    def get(name: str) -> tuple[int, str]:
        answer = local.request("GET", f"/{name}")
        return answer.status, answer.text

    assert get("temperature") == (200, "22")
    assert asyncio.run(ask_by_coap(port, "temperature")) == "22"
    described = json.loads(get("resource")[1])["resources"]
    assert [each["pattern"] for each in described if each["name"] == "temperature"] == [
        {"min": -55, "max": 125, "step": 1}
    ]
    assert local.request("PUT", "/temperature", b"20").status == 405
    (sensors / SENSOR / "temperature").write_text("-3700\n")
    assert get("temperature") == (200, "-4")
    (sensors / SENSOR / "temperature").unlink()
    status, text = get("temperature")
    assert (status, f"{SENSOR} cannot be read" in text) == (503, True)

    assert get("volume")[0] == 200
    told = json.loads(get("status")[1])
    assert told["resources"]["temperature"] == f"DS18B20 {SENSOR}"
    assert told["faults"]["data point broken"] == "No module named 'nothing_of_this_name'"
    assert "name: got" in told["faults"]["data point greedy"]
    assert "data point broken of a package is left out" in agent.log_text()
    assert agent.end() == 0


@pytest.fixture
def point(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type]:
    monkeypatch.syspath_prepend(installed)
    from story_thermometer import ThermometerPoint  # type: ignore[import-not-found]

    yield ThermometerPoint
    del sys.modules["story_thermometer"]


@pytest.mark.parametrize(
    ("text", "degrees"),
    [("21562", 22), ("21400\n", 21), ("0", 0), ("-400", 0), ("-55000", -55), ("125000", 125), ("84999", 85)],
)  # fmt: skip
async def test_degrees_are_whole_and_as_described(
    point: type, sensors: Path, text: str, degrees: int
) -> None:
    (sensors / SENSOR / "temperature").write_text(text)
    made = point(sensors)
    assert await made.get() == degrees
    assert parse_value(made.description, str(degrees)) == degrees


@pytest.mark.parametrize(
    ("text", "why"),
    [("85000", "has not measured yet"), ("", "cannot be read"), ("x", "cannot be read"), ("\xe9", "cannot be read")],
)  # fmt: skip
async def test_what_cannot_be_measured_is_said(
    point: type, sensors: Path, text: str, why: str
) -> None:
    (sensors / SENSOR / "temperature").write_text(text)
    with pytest.raises(UnavailableError, match=f"{SENSOR} {why}"):
        await point(sensors).get()


async def test_a_machine_without_a_sensor_says_how_one_is_turned_on(
    point: type, tmp_path: Path
) -> None:
    made = point(tmp_path / "none")
    with pytest.raises(UnavailableError, match="dtoverlay=w1-gpio"):
        await made.get()
    assert made.back_end == f"no sensor 28-* in {tmp_path}/none"
