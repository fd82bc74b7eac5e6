"""The boot record: what each change of it keeps, and what is damage."""

from __future__ import annotations

import itertools
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ota.launch import boot
from ota.launch.boot import BootRecord, BootRecordError, Rollback, Trial, parse_boot
from wire.ota import version_key

DOWNGRADED = BootRecord("1.1.0", "1.3.0", base="2.0.0")


@given(
    st.lists(st.integers(0, 999), min_size=1, max_size=8), st.lists(st.integers(0, 9), max_size=7)
)
def test_versions_are_ordered_as_on_the_wire(parts: list[int], more: list[int]) -> None:
    one, other = ".".join(map(str, parts)), ".".join(map(str, [parts[0], *more]))
    assert boot.version_order(one) == version_key(one)
    assert (boot.version_order(one) > boot.version_order(other)) is (
        version_key(one) > version_key(other)
    )


def test_a_failed_trial_does_not_forget_what_the_previous_release_was_installed_over() -> None:
    record = DOWNGRADED.activated("1.1.5", "78").rolled_back("no link")
    assert (record.active, record.base) == ("1.1.0", "2.0.0")


def test_what_is_on_trial_for_another_update_is_no_way_back() -> None:
    before = BootRecord("1.1.0", "1.0.5", Trial("1.1.0", 2, "77"), base="1.0.0")
    again = before.activated("1.1.0", "78")
    assert again == BootRecord("1.1.0", "1.0.5", Trial("1.1.0", 0, "78"), base="1.0.0")
    assert before.activated("1.2.0", "78").previous == "1.0.5"


def test_activating_the_same_again_keeps_previous_and_attempts() -> None:
    record = BootRecord("1.0.5").activated("1.1.0", "77").attempted()
    assert record.activated("1.1.0", "77") == record
    assert (record.previous, record.trial) == ("1.0.5", Trial("1.1.0", 1, "77"))


def test_a_record_reads_as_it_was_written(tmp_path: Path) -> None:
    assert boot.load(tmp_path) == BootRecord()
    record = BootRecord(
        "1.1.0", "1.0.5", Trial("1.1.0", 2, "77"), Rollback("1.0.9", "no l?nk", "76"), "1.0.0"
    )
    boot.store(tmp_path, record)
    assert boot.load(tmp_path) == record
    assert (tmp_path / "slots/current").readlink() == Path("releases/1.1.0")
    boot.store(tmp_path, record.rolled_back("no chime").rolled_back("nor there"))
    assert boot.load(tmp_path).active is None
    assert not (tmp_path / "slots/current").is_symlink()


def test_a_flipped_bit_makes_no_other_record_of_one(tmp_path: Path) -> None:
    trial, rollback = Trial("1.1.0", 2, "77"), Rollback("1.0.9", "no link", "76", damaged=True)
    record = BootRecord("1.1.0", "1.0.5", trial, rollback, "1.0.0")
    boot.store(tmp_path, record)
    path = tmp_path / "slots/boot.json"
    whole, damaged = path.read_bytes(), 0
    for place, bit in itertools.product(range(len(whole)), range(8)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << bit
        try:
            found = parse_boot(flipped.decode())
        except (BootRecordError, UnicodeDecodeError):
            damaged += 1
        else:
            assert found == record, flipped
    assert damaged > 7 * len(whole)


def test_a_record_of_before_which_has_no_sum_is_read() -> None:
    text = '{"active": "1.1", "previous": null, "trial": null, "last_rollback": null}'
    assert parse_boot(text) == BootRecord("1.1")
    with pytest.raises(BootRecordError, match="not those that were written"):
        parse_boot(text.replace("}", ', "sum": 7}'))


def test_a_record_of_a_later_version_is_read_though_it_has_members_that_are_not_known() -> None:
    """It is what the launcher of a base of before finds: as damage it would take the machine back to that base."""
    known = '{"active": "1.1", "previous": null, "trial": null, "last_rollback": null, "base": null'
    later = f'{known}, "slot": {{"name": "乙", "tries": [1, 2]}}'
    number = zlib.crc32(f"{later}}}".encode())
    assert parse_boot(f'{later}, "sum": {number}}}') == BootRecord("1.1")
    with pytest.raises(BootRecordError, match="not those that were written"):
        parse_boot(f'{later.replace("乙", "甲")}, "sum": {number}}}')


def test_a_record_that_is_as_deep_as_can_be_read_is_damage_at_most() -> None:
    text = '{"active": "1.1", "previous": null, "trial": null, "last_rollback": null, "sum": 7, "x": DEEP}'
    for depth in range(800, sys.getrecursionlimit() + 10):
        with pytest.raises(BootRecordError):
            parse_boot(text.replace("DEEP", "[" * depth + "]" * depth))


def test_a_trial_that_is_not_of_the_active_version_is_damage() -> None:
    text = '{"active": "1.1", "previous": null, "trial": TRIAL, "last_rollback": null}'
    trial = '{"version": "1.1", "attempts": 0, "transaction": "7"}'
    assert parse_boot(text.replace("TRIAL", trial)).trial == Trial("1.1", 0, "7")
    with pytest.raises(BootRecordError, match="not the active one"):
        parse_boot(text.replace("TRIAL", trial.replace("1.1", "1.2")))


@pytest.mark.parametrize("attempts", ["-1", "true", '"1"', "1.5", "null"])
def test_attempts_that_are_no_count_are_damage(attempts: str) -> None:
    trial = f'{{"version": "1.1", "attempts": {attempts}, "transaction": "7"}}'
    text = f'{{"active": "1.1", "previous": null, "trial": {trial}, "last_rollback": null}}'
    with pytest.raises(BootRecordError, match="not a count of attempts"):
        parse_boot(text)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("active", '"../../etc"'),
        ("active", "5"),
        ("previous", '"1.0-rc1"'),
        ("base", '"newest"'),
        ("trial", '{"version": "1.1", "attempts": 0, "transaction": 7}'),
        ("trial", '{"version": null, "attempts": 0, "transaction": "7"}'),
        ("trial", '{"version": "1.1"}'),
        ("last_rollback", '{"version": "v1", "reason": "x", "transaction": null}'),
        ("last_rollback", '{"version": null, "reason": "x", "transaction": null}'),
        ("last_rollback", '{"version": "1.1", "reason": 5, "transaction": null}'),
        ("last_rollback", '{"version": "1.1", "reason": "x", "transaction": 7}'),
        ("last_rollback", '{"version": "1.1", "reason": "x"}'),
    ],
)
def test_a_member_that_is_none_of_ours_is_damage(member: str, value: str) -> None:
    good = {"active": '"1.1"', "previous": "null", "trial": "null", "last_rollback": "null"}
    text = ", ".join(f'"{name}": {one}' for name, one in (good | {member: value}).items())
    with pytest.raises(BootRecordError, match=r"^boot\.json: "):
        parse_boot(f"{{{text}}}")


def test_a_record_says_that_files_were_damaged_to_those_that_know_it(tmp_path: Path) -> None:
    whole = BootRecord("1.1.0", "1.0.5").rolled_back("it died")
    boot.store(tmp_path, whole)
    written = (tmp_path / "slots/boot.json").read_text()
    assert "damaged" not in written  # a version of before reads it strictly
    assert boot.load(tmp_path) == whole
    damaged = BootRecord("1.1.0", "1.0.5").rolled_back("a file", damaged=True)
    boot.store(tmp_path, damaged)
    assert boot.load(tmp_path) == damaged
    assert boot.load(tmp_path).last_rollback != whole.last_rollback


def test_a_link_that_is_right_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = BootRecord("1.1.0")
    boot.store(tmp_path, record)
    made: list[str | None] = []
    monkeypatch.setattr(boot, "replace_symlink", lambda _link, target: made.append(target))
    boot.follow(tmp_path, record)
    boot.follow(tmp_path, BootRecord("1.2.0"))
    boot.follow(tmp_path, BootRecord())
    assert made == ["releases/1.2.0", None]
