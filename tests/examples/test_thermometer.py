"""The example package of a data point: built as a wheel, put where pip puts it, and served by a real agent."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from machine.errors import UnavailableError
from tests.agent.first.parts import profile_bytes
from tests.agent.test_cli import Agent
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


def test_the_package_is_served_beside_the_agents_own(
    installed: Path, sensors: Path, agent: Agent
) -> None:
    agent.start(
        environment={"PYTHONPATH": str(installed), "STORY_THERMOMETER": str(sensors), "PYTHONASYNCIODEBUG": ""}
    )  # fmt: skip
    assert agent.ask("get", "temperature").stdout == "22\n"
    assert "not allowed, only GET" in agent.ask("set", "temperature", "20", "--lang", "en").stderr
    (sensors / SENSOR / "temperature").write_text("-3700\n")
    assert agent.ask("get", "temperature").stdout == "-4\n"
    (sensors / SENSOR / "temperature").unlink()
    assert f"{SENSOR} cannot be read" in agent.ask("get", "temperature", "--lang", "en").stderr
    assert agent.status()["resources"]["temperature"] == f"DS18B20 {SENSOR}"
    assert agent.end() == 0


def test_a_package_that_is_broken_is_named_and_the_agent_runs(
    tmp_path: Path, installed: Path, agent: Agent
) -> None:
    broken = tmp_path / "broken"
    (broken / "story_thermometer").mkdir(parents=True)
    (broken / "story_thermometer/__init__.py").write_text("import nothing_of_this_name\n")
    info = next(installed.glob("*.dist-info"))
    (broken / info.name).mkdir()
    (broken / info.name / "entry_points.txt").write_text((info / "entry_points.txt").read_text())
    (broken / info.name / "METADATA").write_text((info / "METADATA").read_text())
    agent.start(environment={"PYTHONPATH": str(broken), "PYTHONASYNCIODEBUG": ""})
    status = agent.status()
    assert status["faults"]["data point thermometer"] == "No module named 'nothing_of_this_name'"
    assert "temperature" not in status["resources"]
    assert agent.ask("get", "volume").returncode == 0
    assert "data point thermometer of a package is left out" in agent.log_text()
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

