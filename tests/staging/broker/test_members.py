"""Which worker owns which shard: all agree, everything is owned once, and little moves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from staging.broker.members import Members
from wire.topics import shard_of

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
SHARDS = 64


NAMES = st.sets(st.text("abcdefgh0123456789", min_size=1, max_size=6), min_size=1, max_size=8)


def each(names: set[str]) -> dict[str, Members]:
    made = {name: Members(name) for name in names}
    for members in made.values():
        for name in names:
            members.note(name, is_there=True)
    return made


@given(NAMES)
def test_every_shard_has_one_owner(names: set[str]) -> None:
    owned = [shard for members in each(names).values() for shard in members.owned]
    assert sorted(owned) == list(range(SHARDS))


@given(NAMES, st.text("xyz", min_size=1, max_size=3))
def test_when_a_worker_comes_or_goes_nothing_moves_between_the_others(
    names: set[str], other: str
) -> None:
    made = each(names)
    before = {name: members.owned for name, members in made.items()}
    for members in made.values():
        members.note(other, is_there=True)
    for name, members in made.items():
        assert members.owned <= before[name]
        members.note(other, is_there=False)
        assert members.owned == before[name]


def test_alone_it_owns_all() -> None:
    members = Members("a")
    assert members.owned == frozenset(range(SHARDS))
    assert members.owns("0083000000000a")
    assert not members.note("a", is_there=False)  # its own will, of an earlier connection
    assert members.owned == frozenset(range(SHARDS))


def test_the_work_is_shared_out_about_evenly() -> None:
    counts = [len(members.owned) for members in each({"a", "b", "c", "d"}).values()]
    assert min(counts) >= SHARDS // 4 // 2


def test_a_device_belongs_to_the_owner_of_its_shard() -> None:
    made = each({"a", "b"})
    for number in range(50):
        uuid = f"{number:014x}"
        owners = [name for name, members in made.items() if members.owns(uuid)]
        assert owners == [name for name in made if shard_of(uuid) in made[name].owned]
        assert len(owners) == 1
