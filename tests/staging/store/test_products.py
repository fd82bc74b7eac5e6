"""Products in the store: each has its own versions."""

from __future__ import annotations

from typing import Any

from staging.store import Database, product_setup, products


def test_every_product_has_its_own_versions(database: Database) -> None:
    def versions(session: Any) -> tuple[int, int, int]:
        lamp = product_setup.add_product(session, "lamp", 0, test_devices=0)
        story = products.default_product(session, 0)
        ids = (lamp.id, story.id, lamp.id)
        rows = [products.os_version(session, product, "1.0").id for product in ids]
        return rows[0], rows[1], rows[2]

    first, second, third = database.call(versions)
    assert first != second
    assert first == third
