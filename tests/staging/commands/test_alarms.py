"""Alarms, webhooks and health as commands.

Tests staging.commands.healths too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from staging.alarm_rules import Kind, Seen
from staging.commands import cli
from staging.store import Database, alarms


def test_alarms_webhooks_and_health(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def ask(*words: str) -> Any:
        assert cli.main([*words, "--json", "--data", str(tmp_path)]) == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    def refused(*words: str) -> str:
        assert cli.main([*words, "--data", str(tmp_path)]) == 1
        return capsys.readouterr().err

    assert ask("alarm", "list") == {"alarms": [], "open": 0}
    made = ask("alarm", "webhook", "add", "https://example.org/hook")
    assert len(made["secret"]) == 64
    database = Database(tmp_path / "cloud.sqlite")
    database.call(alarms.apply, [Seen(Kind.VERSION, "lamp 1.0", detail={"percent": 30})], 0)
    database.close()
    (alarm,) = ask("alarm", "list")["alarms"]
    assert (alarm["state"], alarm["detail"]) == ("open", {"percent": 30})
    assert ask("alarm", "ack", "1")["state"] == "acknowledged"
    assert ask("alarm", "webhook", "test", "1")["message"] == 2
    (hook,) = ask("alarm", "webhook", "list")["webhooks"]
    assert (hook["waiting"], hook["lastState"]) == (2, "WAITING")
    assert "secret" not in hook
    assert ask("alarm", "webhook", "off", "1")["on"] is False
    assert "it is off" in refused("alarm", "webhook", "test", "1")
    (hook,) = ask("alarm", "webhook", "list")["webhooks"]
    assert (hook["on"], hook["waiting"], hook["lastState"]) == (False, 0, "GIVEN_UP")
    assert ask("alarm", "webhook", "on", "1")["on"] is True
    assert ask("alarm", "webhook", "remove", "1")["url"] == "https://example.org/hook"
    assert ask("alarm", "settings", "--set", "offline_minutes=60")["offline_minutes"] == 60
    assert ask("alarm", "settings")["offline_minutes"] == 60
    assert ask("health")["versions"] == []
    for words, told in (
        (("alarm", "ack", "9"), "alarm 9: there is none"),
        (("alarm", "webhook", "remove", "9"), "webhook 9: there is none"),
        (("alarm", "webhook", "add", "http://example.org"), "url: got"),
        (("alarm", "settings", "--set", "battery_percent=x"), "battery_percent: got"),
        (("alarm", "settings", "--set", "colour=1"), "setting: got"),
        (("health", "--hours", "0"), "hours: got 0"),
    ):
        assert told in refused(*words)
    assert cli.main(["audit", "list", "--data", str(tmp_path)]) == 0
    done = capsys.readouterr().out
    assert done.count("alarm.settings") == 1
    for action in ("alarm.ack", "alarm.webhook.add", "alarm.webhook.test", "alarm.webhook.remove"):
        assert action in done
    assert made["secret"] not in done
