"""Who may do what, as a table: the roles, and how a device stands to an account."""

from __future__ import annotations

from pathlib import Path

import pytest

from staging.identity import rights
from staging.identity.rights import API, CONSOLE, Reach, Refusal, Role, Rule, Standing

ROOT = Path(__file__).parents[3]
ME, OTHER = 1, 2


@pytest.mark.parametrize(
    ("version", "owner", "stands"),
    [
        (0, ME, Standing.OWN),
        (1, ME, Standing.OWN),
        (0, OTHER, Standing.DEVELOPMENT),
        (0, None, Standing.DEVELOPMENT),
        (1, None, Standing.FREE),
        (1, OTHER, Standing.FAMILY),
        (2, OTHER, Standing.FAMILY),
    ],
)
def test_how_a_device_stands_to_an_account(
    version: int, owner: int | None, stands: Standing
) -> None:
    assert rights.standing(version, owner, ME) is stands
    assert rights.shows_values(stands, owner) is (owner in {None, ME})


def test_a_family_has_no_console_and_testers_change_no_product() -> None:
    for (method, path), rule in CONSOLE.items():
        if rule.roles is None:
            assert path == "/api/session"
            continue
        assert Role.PARENT not in rule.roles
        assert Role.OPERATOR in rule.roles
        changes = (
            method != "GET" and path != "/api/{rest:path}"
        )  # which answers that it is not there
        # A step for many devices asks of each whether this account may (`staging.store.bulk`); a session and a
        # password are everybody's own.
        own = path.startswith(("/api/bulk", "/api/me/")) or rule.action == "session.end"
        if changes and rule.reach is Reach.NONE and not own:
            assert rule.roles == {Role.OPERATOR}, path
        assert bool(rule.action) or not changes or rule.roles is None or path == "/api/bulk/preview"


@pytest.mark.parametrize("stands", Standing)
def test_nothing_of_a_family_is_heard_controlled_or_verified_on_by_others(stands: Standing) -> None:
    for (_, path), rule in CONSOLE.items():
        if "{uuid}" in path and rule.reach not in {Reach.SEE, Reach.TOKEN, Reach.VERIFY}:
            told = rights.judge(rule, Role.OPERATOR, stands)
            assert told is (None if stands is Standing.OWN else Refusal.NOT_BOUND)
    for rule in CONSOLE.values():
        if rule.reach is Reach.VERIFY:  # versions that are verified, and faults that are made
            for role in rights.STAFF:
                allowed = rights.judge(rule, role, stands) is None
                assert allowed is (stands in {Standing.OWN, Standing.DEVELOPMENT})


def test_operators_see_that_a_familys_device_is_there_and_testers_do_not() -> None:
    see = Rule(rights.STAFF, Reach.SEE)
    assert rights.judge(see, Role.OPERATOR, Standing.FAMILY) is None
    assert rights.judge(see, Role.TESTER, Standing.FAMILY) is Refusal.FAMILY
    assert rights.judge(see, Role.PARENT, Standing.OWN) is Refusal.ROLE


def test_the_document_has_the_table() -> None:
    text = (ROOT / "docs" / "accounts.md").read_text("utf-8")
    lines = rights.document()
    assert "\n".join(lines) in text, "\n".join(lines)
    assert len(lines) == 2 + len(CONSOLE) + len(API)
