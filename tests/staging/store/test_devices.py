"""Devices in the store: their uuids, names and tokens."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from staging.errors import NotFoundError, StagingError
from staging.store import Database, devices
from staging.store.models import Batch
from wire.errors import FieldError


def test_devices_must_be_new_and_well_named(database: Database) -> None:
    device = database.call(devices.add, "01A800000072AF", 0)
    assert device.uuid == "01a800000072af"
    assert (len(device.token), len(device.bind_token or "")) == (32, 32)
    with pytest.raises(StagingError, match="there is one already"):
        database.call(devices.add, "01a800000072af", 0)
    with pytest.raises(FieldError, match="14 hexadecimal digits"):
        database.call(devices.add, "01a8", 0)
    with pytest.raises(NotFoundError):
        database.call(devices.get, "f" * 14)


def test_devices_of_a_batch_have_uuids_that_a_label_takes(database: Database) -> None:
    def make(session: Session) -> list[str]:
        devices.add(session, "01a800000072af", 0)
        owner = session.scalars(select(Batch)).one()
        return [device.uuid for device in devices.make(session, owner, 3, 1, 0)]

    made = database.call(make)
    assert len({*made}) == 3
    assert all(re.fullmatch("[0-9a-f]{14}", uuid) for uuid in made)
