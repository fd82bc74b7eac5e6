"""The metrics, read by the parser of Prometheus' own Python client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.local.metrics import Metric, metrics_routes, of_process, of_status, render
from agent.local.web import Site
from agent.vitals import Counts

STATUS: dict[str, Any] = {
    "version": '1.0"\\\n', "link": {"state": "online", "tries": 3, "online_seconds": 9.5},
    "outbox": {"waiting": 2, "dropped": 1}, "faults": {"x": "y"}, "play": {"state": "playing"},
    "update": {"state": "RUNNING", "percent": 0.25},
}  # fmt: skip


def counts() -> Counts:
    made = Counts(play_seconds=12.5)
    made.utterances.update(sent=3, fault=1)
    return made


def read(text: str) -> dict[str, dict[str, float]]:
    """Return the samples by name and labels; the parser is strict."""
    told: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        assert family.type in {"gauge", "counter"}
        for sample in family.samples:
            told.setdefault(sample.name, {})[",".join(sample.labels.values())] = sample.value
    assert told
    return told


def test_the_state_as_metrics() -> None:
    told = read(render(of_status(STATUS, counts())))
    assert told["story_agent_info"] == {'1.0"\\\n': 1}
    assert told["story_agent_link_up"] == {"": 1}
    assert told["story_agent_link_tries_total"] == {"": 3}
    assert told["story_agent_reports_waiting"] == {"": 2}
    assert told["story_agent_play_seconds_total"] == {"": 12.5}
    assert told["story_agent_utterances_total"] == {"sent": 3, "fault": 1}
    assert told["story_agent_update_state"]["RUNNING"] == 1
    assert sum(told["story_agent_update_state"].values()) == 1
    assert told["story_agent_update_progress_ratio"] == {"": 0.25}
    assert told["story_agent_faults"] == {"": 1}


def test_what_is_not_known_is_left_out() -> None:
    told = read(render(of_status({"link": {"state": "waiting", "online_seconds": None}}, Counts())))
    assert told["story_agent_link_up"] == {"": 0}
    assert told["story_agent_link_online_seconds"] == {"": 0}
    assert not {"story_agent_update_state", "story_agent_utterances_total"} & set(told)


def test_big_numbers_keep_their_digits() -> None:
    metric = Metric("a_bytes", "gauge", "x.", [({}, 123456789.0), ({"l": "b"}, 4.0)])
    assert read(render(iter([metric])))["a_bytes"] == {"": 123456789, "b": 4}


def test_the_process_and_the_board(tmp_path: Path) -> None:
    zone = tmp_path / "thermal_zone0"
    zone.mkdir()
    (zone / "temp").write_text("48312\n")
    told = read(render(of_process(thermal=tmp_path)))
    assert told["story_agent_temperature_celsius"] == {"": 48.312}
    assert told["process_resident_memory_bytes"][""] > 1e6
    assert 3 <= told["process_open_fds"][""] <= told["process_max_fds"][""]
    (zone / "temp").write_text("hot")
    assert "story_agent_temperature_celsius" not in read(render(of_process(tmp_path, tmp_path)))


async def _status() -> dict[str, Any]:
    return STATUS


async def _read(name: str) -> str | None:
    return {"volume": "7", "power": None}[name]


@pytest.mark.parametrize(("client", "status"), [(None, 200), (("127.0.0.1", 1), 403)])
async def test_the_socket_alone_has_them(client: Any, status: int) -> None:
    app = Site(metrics_routes(_status, counts(), _read))
    transport = httpx.ASGITransport(app=app, client=client)
    async with httpx.AsyncClient(transport=transport, base_url="http://agent") as http:
        answer = await http.get("/metrics")
    assert answer.status_code == status
    if status == 200:
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        told = read(answer.text)
        assert told["story_agent_volume_level"] == {"": 7}
        assert "story_agent_battery_percent" not in told
