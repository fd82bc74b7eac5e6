"""Products in the store: each has its own versions."""

from __future__ import annotations

from typing import Any

import pytest

from staging.errors import StagingError
from staging.store import Database, product_setup, products
from wire.errors import FieldError


def test_a_name_is_found_however_it_is_composed(database: Database) -> None:
    made = database.call(product_setup.add_product, "Ma\u0308rchen 小熊", 0, test_devices=0)
    assert made.name == "Märchen 小熊"
    for spelling in (made.name, "Ma\u0308rchen 小熊"):
        assert database.call(product_setup.product, spelling).id == made.id
        with pytest.raises(StagingError, match="there is one already"):
            database.call(product_setup.add_product, spelling, 0, test_devices=0)
    database.call(product_setup.add_batch, made.id, "a\u0308", 0, 0)
    with pytest.raises(StagingError, match="has one already"):
        database.call(product_setup.add_batch, made.id, "ä", 0, 0)
    for bad in ("", "\u3000", "a\u2028b", "x" * 65, "..", "a/b", "a%2Fb"):
        with pytest.raises(FieldError, match=r"name: got .*, expected letters of any script"):
            database.call(product_setup.add_product, bad, 0, test_devices=0)


def test_a_name_that_an_older_version_stored_is_found(database: Database) -> None:
    def stored(session: Any) -> int:
        product = products.default_product(session, 0)
        product.name = "Ma\u0308rchen"
        session.flush()
        return product.id

    number = database.call(stored)
    assert database.call(product_setup.product, "Märchen").id == number
    newer = database.call(product_setup.product, "Ma\u0308rchen")
    assert newer.id == number


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
