"""Batches as commands."""

from __future__ import annotations

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
