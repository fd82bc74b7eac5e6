"""Batches as commands."""

from __future__ import annotations

from pathlib import Path

from tests.staging.commands.conftest import Command


def test_batch(command: Command, mistake: Command) -> None:
    added = command("batch", "add", "2026-11", "--count", "3")
    assert (added["name"], added["product"]) == ("2026-11", "story-machine")
    for device in added["devices"]:
        assert list(device) == ["uuid", "token", "bindToken"]
    batches = command("batch", "list")["batches"]
    assert [(b["name"], b["devices"]) for b in batches] == [("0000", 0), ("2026-11", 3)]
    assert "batch 2026-11: the product has one already" in mistake(
        "batch", "add", "2026-11", "--count", "1"
    )
    assert "count: got -1" in mistake("batch", "add", "x", "--count", "-1")
    assert "count: got 10001" in mistake("batch", "add", "x", "--count", "10001")
    assert 'name: got ""' in mistake("batch", "add", "", "--count", "1")
    # The refused commands stored nothing.
    assert len(command("batch", "list")["batches"]) == 2


def test_export(command: Command, mistake: Command, tmp_path: Path) -> None:
    command("batch", "add", "2026-11", "--count", "3")
    words = ["batch", "export", "2026-11", "--profiles", str(tmp_path / "out")]
    where = ["--host", "cloud.example", "--device-port", "9001", "--api-port", "80"]
    assert "no server ran on this folder yet" in mistake(*words)
    done = command(
        *words, *where, "--csv", str(tmp_path / "all.csv"), "--labels", str(tmp_path / "l.pdf")
    )
    assert (done["issued"], done["leftOut"], done["resumed"]) == (3, 0, False)
    assert len(list((tmp_path / "out").glob("*.json"))) == 3
    assert (tmp_path / "l.pdf").read_bytes().startswith(b"%PDF")
    assert command("batch", "list")["batches"][1]["issued"] == 3
    assert "all 3 devices were issued" in mistake(*words, *where)
    assert command(*words, *where, "--again")["issued"] == 3
    assert "batch none: product story-machine has none" in mistake(
        "batch", "export", "none", "--profiles", str(tmp_path / "x"), *where
    )
