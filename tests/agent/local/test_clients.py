"""The clients of the home network while the agent runs: damage, a full card, keys that were renewed meanwhile."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agent.local.clients import Clients
from agent.local.sockets import LocalAccessError
from tests.extras import module_needs

module_needs("cbor2")


async def test_a_damaged_client_is_told_and_the_others_are_served(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = Clients(tmp_path)
    keys = await first.add("phone")
    await first.add("script")
    (tmp_path / "lan" / "script.number").write_text("")
    again = Clients(tmp_path)
    for _ in range(2):
        await again.load()
    assert again.find(keys.client_id) is not None
    assert again.status()["phone"] == {"state": "not heard"}
    assert "number: not JSON" in str(again.status()["script"])
    told = [record.message for record in caplog.records]
    assert len(told) == 1
    assert told[0].endswith("story-agent lan renew script")
    assert keys.secret.hex() not in caplog.text
    await again.renew("script")
    assert again.status()["script"] == {"state": "not heard"}


async def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "lan").write_text("no folder")
    with pytest.raises(LocalAccessError, match="lan: Not a directory"):
        await Clients(tmp_path).load()


async def test_numbers_of_old_keys_are_not_written_over_those_of_new_ones(tmp_path: Path) -> None:
    clients = Clients(tmp_path)
    context = clients.find((await clients.add("phone")).client_id)
    assert context is not None
    await context.reserve()
    new = await clients.renew("phone")
    context.sender_sequence_number = context._reserved
    with pytest.raises(OSError, match="Stale"):
        await context.reserve()
    assert new.client_id.hex() in (tmp_path / "lan" / "phone.number").read_text()


async def test_without_the_extra_nobody_is_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transport.oscore", None)
    with pytest.raises(LocalAccessError, match=r"story-agent\[oscore\]"):
        await Clients(tmp_path).add("phone")
    assert not (tmp_path / "lan").exists()
