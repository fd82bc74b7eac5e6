"""Tags: what is one, how many there may be, and that a change can be made again.

Tests staging.store.fleet_models too.
"""

from __future__ import annotations

import pytest

from staging.errors import StagingError
from staging.store import Database, devices, tags
from staging.store.tags import Counted
from wire.errors import FieldError

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
OF_DEVICE_LIMIT = 20


@pytest.fixture
def two(database: Database) -> tuple[int, int]:
    made = [database.call(devices.add, uuid * 14, 0) for uuid in "ab"]
    return made[0].id, made[1].id


def test_a_tag_is_there_as_long_as_a_device_has_it(
    database: Database, two: tuple[int, int]
) -> None:
    one, other = two
    assert database.call(tags.change, one, ["Bench", "红 色"]) == ("Bench", "红 色")
    assert database.call(tags.change, other, ["\uff22ENCH "]) == ("Bench",)
    assert database.call(tags.listing) == [Counted("Bench", 2), Counted("红 色", 1)]
    # The same again, and what it has not, changes nothing.
    assert database.call(tags.change, one, ["bench"], ["nothing"]) == ("Bench", "红 色")
    assert database.call(tags.change, one, ["new"], ["BENCH", "红\u3000色"]) == ("new",)
    assert database.call(tags.listing) == [Counted("Bench", 1), Counted("new", 1)]
    assert database.call(tags.of, [one, other, 99]) == {one: ("new",), other: ("Bench",)}


@pytest.mark.parametrize(
    ("add", "remove", "told"),
    [
        ([""], [], "tag: "),
        (["\u200b"], [], "1 to 32 printable"),
        (["a\nb"], [], "1 to 32 printable"),
        ([], ["\u202eevil"], "1 to 32 printable"),
        (["x" * 33], [], "1 to 32 printable"),
        (["a;b"], [], "no comma"),
        (["a"], ["\uff21"], "tag a: it is to be added and removed"),
        ([str(n) for n in range(OF_DEVICE_LIMIT + 1)], [], "would have 21, expected at most 20"),
    ],
)
def test_what_is_no_tag_changes_nothing(
    database: Database, two: tuple[int, int], add: list[str], remove: list[str], told: str
) -> None:
    with pytest.raises((FieldError, StagingError), match=told):
        database.call(tags.change, two[0], add, remove)
    assert database.call(tags.listing) == []


@pytest.mark.one_database
def test_there_are_so_many_tags(
    database: Database, two: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tags, "TAGS_LIMIT", 2)
    database.call(tags.change, two[0], ["a", "b"])
    with pytest.raises(StagingError, match="tag c: there are 2 tags already"):
        database.call(tags.change, two[0], ["c"])
    database.call(tags.change, two[0], ["c"], ["a"])
