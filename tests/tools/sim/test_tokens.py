"""What the simulation finds wrong with an app's access tokens."""

from __future__ import annotations

from typing import Any

import pytest

from staging.errors import StoreBusyError
from staging.identity import passwords
from tools.sim.open_api import AppKey
from tools.sim.tokens import PASSWORD, Tokens, cheap_hash

KEY = AppKey("key", "secret", "token")


class Store:
    """Does nothing, and says that it did."""

    async def write(self, *_work: object) -> None:
        """Take it."""


STORE: Any = Store()


def tokens(now: list[float]) -> Tokens:
    return Tokens(KEY, lambda: now[0], lambda _name: None)


@pytest.mark.parametrize(
    ("began", "status", "is_broken"),
    [(109.0, 200, False), (110.0, 200, False), (110.5, 426, False), (110.5, 404, False), (110.5, 503, False),
     (110.5, 401, False), (110.5, 200, True), (110.5, 504, True), (109.0, 426, True)],
)  # fmt: skip
async def test_a_token_works_until_its_end_and_no_longer(
    began: float,
    status: int,
    is_broken: bool,  # noqa: FBT001
) -> None:
    now = [100.0]
    found = tokens(now)
    await found.end(STORE, 10.0)
    now[0] = began + 0.1
    found.judge("token", began, status)
    assert bool(found.broken) is is_broken
    assert found.is_refused is (status in {404, 426})


async def test_an_end_that_is_set_twice_is_the_first_of_the_two() -> None:
    now = [100.0]
    found = tokens(now)
    assert await found.end(STORE, 10.0) == 110.0
    assert await found.end(STORE, 20.0) == 110.0
    now[0] = 115.0
    found.judge("token", 115.0, 426)
    assert found.broken == []
    found.judge("token", 115.0, 200)
    assert found.broken == ["a token was answered 200 5.0 s after its end"]


async def test_of_an_end_whose_cloud_died_meanwhile_nobody_knows_beside_another_that_is_stored() -> (
    None
):
    class Died:
        async def write(self, *_work: object) -> None:
            raise StoreBusyError("away")

    died: Any = Died()
    now = [100.0]
    found = tokens(now)
    with pytest.raises(StoreBusyError):
        await found.end(died, 5.0)
    await found.end(STORE, 20.0)
    now[0] = 110.0
    found.judge("token", 110.0, 426)
    found.judge("token", 110.0, 200)
    assert found.broken == []


async def test_a_token_that_was_taken_back_does_nothing_more() -> None:
    now = [100.0]
    found = tokens(now)
    await found.take_back(STORE, by_password=False)
    now[0] = 101.0
    found.judge("token", 101.0, 404)
    assert found.broken == []
    assert [key.token for key in found.old] == ["token"]
    found.judge("token", 101.0, 200)
    assert found.broken == ["a token was answered 200 1.0 s after its end"]


def test_a_token_that_nobody_ended_is_not_refused() -> None:
    found = tokens([100.0])
    found.judge("token", 99.0, 200)
    assert found.broken == []
    found.judge("token", 99.0, 404)
    assert found.broken == ["a token was answered 404, and has not ended"]


async def test_an_app_that_is_refused_again_and_again_does_not_get_on() -> None:
    class Api:
        async def call(self, method: str, *_rest: object, **_named: object) -> list[dict[str, Any]]:
            return [{"status": 503 if method == "POST" else 200, "headers": []}]

    found, api, slept = tokens([100.0]), Api(), list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    found.is_refused = True
    told: Any = api
    await found.get_on(told, sleep)
    assert found.broken == ["an app that asked for another token did not get on"]
    assert len(slept) > 1


def test_the_cheap_hash_is_one_that_the_product_checks() -> None:
    assert passwords.matches(PASSWORD, cheap_hash(PASSWORD))
    assert not passwords.matches("another password", cheap_hash(PASSWORD))
