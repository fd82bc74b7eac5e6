"""Every command is known to change something or not, and what changes something is in the audit log.

Tests staging.commands.sessions and staging.commands.audit_entries too.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from staging.commands import audited, cli
from staging.commands.audited import CHANGES, READS, system_user
from staging.errors import StagingError
from staging.identity import passwords
from tests.staging.commands.conftest import Command


def commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from commands(below)
    if "words" in parser._defaults:
        yield parser


def test_every_command_is_in_one_of_the_tables() -> None:
    found = {parser._defaults["words"]: parser for parser in commands(cli.build_parser())}
    assert set(found) == set(CHANGES) | READS
    assert not set(CHANGES) & READS
    for words, of in CHANGES.items():
        known = {action.dest for action in found[words]._actions}
        assert set(of.values()) <= known, words


def test_what_is_done_by_command_is_logged_and_what_is_read_is_not(
    command: Command, mistake: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "COST", 2**4)
    monkeypatch.setenv("SUDO_USER", "=ada")
    uuid = command("device", "add", "--development")["uuid"]
    command("device", "token", "renew", uuid)
    command("account", "add", "tom", "--role", "tester")
    command("account", "role", "tom", "operator")
    command("app", "add", "a", "--type", "web")
    command("token", "--app", "1", "--user", "tom")
    command("token", "revoke", "--user", "tom")
    command("session", "revoke", "tom")
    command("account", "list")
    mistake("account", "disable", "nobody")
    entries = command("audit", "list")["entries"]
    assert [(e["action"], e["device"], e["target"]) for e in reversed(entries)] == [
        ("device.add", uuid, ""),
        ("device.token.renew", uuid, ""),
        ("account.add", "", "tom"),
        ("account.role", "", "tom"),
        ("app.add", "", "a"),
        ("token", "", "tom"),
        ("token.revoke", "", "tom"),
        ("session.revoke", "", "tom"),
    ]
    assert {e["source"] for e in entries} == {"command"}
    assert all(e["actor"].endswith("(=ada)") for e in entries)
    assert len(command("audit", "list", "--device", uuid)["entries"]) == 2
    file = tmp_path / "audit.csv"
    assert command("audit", "export", "--csv", str(file))["entries"] == 8
    rows = list(csv.DictReader(file.read_text("utf-8-sig").splitlines()))
    assert [row["action"] for row in rows] == [e["action"] for e in entries]
    assert file.stat().st_mode & 0o777 == 0o600


def test_who_runs_a_command() -> None:
    here = system_user({})
    assert here
    assert system_user({"SUDO_USER": "ada"}) == f"{here} (ada)"
    assert system_user({"SUDO_USER": here}) == here


def test_what_cannot_be_logged_is_done_and_told(
    command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise StagingError("full")

    monkeypatch.setattr(audited, "_add", broken)
    assert command("device", "add")["uuid"]
    assert len(command("device", "list")["devices"]) == 1
    capsys.readouterr()


def test_what_is_asked_of_the_audit_log_is_checked(mistake: Command) -> None:
    for limit in ("0", "-5", "1001"):
        assert "limit: got" in mistake("audit", "list", "--limit", limit)
    assert "device: got" in mistake("audit", "list", "--device", "ZZ")
    assert "device: got" in mistake("audit", "export", "--csv", "-", "--device", "5064")


def test_origins_are_logged_where_they_are_changed(command: Command) -> None:
    app = str(command("app", "add", "a", "--type", "web")["appId"])
    command("app", "origins", app)
    command("app", "origins", app, "--add", "https://app.example")
    actions = [entry["action"] for entry in command("audit", "list")["entries"]]
    assert actions == ["app.origins", "app.add"]
