"""Each number that the description of the open API gives as a limit is one: it is taken, and the next one is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import pytest

pytestmark = pytest.mark.one_database

UUID = "0083000000000a"
LARGEST = 9_223_372_036_854_775_807
"""Of 64 bits."""
NAMES = ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems")
# What the pages of the open API promise, word for word in numbers: a limit that is changed is changed here too.
IDS, HUNDRED, KEY = (0, LARGEST), (1, 100), (1, 64)
LIMITS: Mapping[tuple[str, str, str], tuple[int | None, int | None]] = {
    ("POST", "/device/control/send", "name"): KEY,
    ("POST", "/device/control/send", "content"): (None, 4096),
    ("POST", "/device/query/data/connect", "deviceUuids"): (1, 20),
    ("GET", "/device/query/data/history", "propertyKey"): (None, 64),
    ("GET", "/device/query/data/history", "nextPage"): IDS,
    ("GET", "/device/query/data/history", "limit"): HUNDRED,
    ("GET", "/device/query/data/realtime", "propertyKey"): KEY,
    ("PUT", "/device/name/update", "name"): KEY,
    ("GET", "/device/bind/list", "start"): IDS,
    ("GET", "/device/bind/list", "limit"): (1, 1000),
    ("GET", "/device/ota/version/info", "packageId"): IDS,
    ("POST", "/device/ota/update", "packageId"): IDS,
    ("POST", "/device/ota/update", "strategyId"): IDS,
    ("GET", "/device/data/voice", "nextPage"): IDS,
    ("GET", "/device/data/voice", "limit"): HUNDRED,
    ("GET", "/device/data/audit", "nextPage"): IDS,
    ("GET", "/device/data/audit", "limit"): HUNDRED,
    **{
        (method, "/account/authorize", name): (None, most)
        for method in ("GET", "POST")
        for name, most in (
            ("client_id", 20), ("response_type", 64), ("redirect_uri", 1024), ("scope", 256), ("state", 2048),
        )
    },
}  # fmt: skip
# Good values of what a request must have.
GOOD: Mapping[str, Any] = {
    "deviceUuid": UUID, "method": "GET", "name": "power", "packageId": 1, "propertyKey": "power",
}  # fmt: skip
# Where the refusal of a list is one of the document's codes, and says nothing of the field.
WORDS = {"deviceUuids": ("device id is empty", "got 21"), "client_id": ("at most 20 characters",)}


def described(
    schema: Mapping[str, Any],
) -> Iterator[tuple[tuple[str, str, str], Mapping[str, Any]]]:
    """Yield each parameter of the description with its limits."""

    def resolved(kind: Any) -> Any:
        while "$ref" in kind:
            kind = schema["components"]["schemas"][kind["$ref"].rpartition("/")[2]]
        return kind

    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            told = {each["name"]: each["schema"] for each in operation.get("parameters", [])}
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            told |= {} if body is None else resolved(body["schema"])["properties"]
            for name, kind in told.items():
                whole = {**kind, **next(iter(kind.get("anyOf", [])), {})}
                found = {key: whole[key] for key in NAMES if key in whole}
                if found:
                    yield (method.upper(), path.removeprefix("/v1"), name), found


async def test_the_description_has_each_limit_and_no_other(cloud: Any) -> None:
    schema = (await cloud.http.get("/openapi.json")).json()
    found = {
        place: tuple(
            next((told[key] for key in NAMES if key in told and key.startswith(side)), None)
            for side in ("min", "max")
        )
        for place, told in described(schema)
    }
    assert found == dict(LIMITS)
    whole = [value for _, told in described(schema) for value in told.values()]
    assert whole
    assert all(type(value) is int for value in whole)  # 9.2e18 would be one more than the largest


def value_of(name: str, size: int) -> Any:
    """Return a value of a parameter at ``size``, which is a number, a length or a count."""
    if name == "deviceUuids":
        return [UUID] * size
    numbers = {"limit", "start", "nextPage", "packageId", "strategyId"}
    return size if name in numbers else "7" * size


def refused(response: Any, name: str) -> bool:
    """Return whether a request was refused for one parameter."""
    words = WORDS.get(name, (f"{name}: got",))
    return response.status_code in {400, 404} and any(word in response.text for word in words)


@pytest.fixture
def ask(cloud: Any) -> Callable[..., Any]:
    async def ask(method: str, path: str, name: str, size: int) -> Any:
        values = {key: value for key, value in GOOD.items() if key != name}
        values[name] = value_of(name, size)
        if path == "/device/bind/list" or path.startswith("/account/"):
            values = {name: values[name]}
        if path == "/account/authorize":
            return await cloud.http.request(method, f"/v1{path}", params=values)
        if method == "GET":
            return await cloud.get(path, **values)
        return await (cloud.put if method == "PUT" else cloud.post)(path, **values)

    return ask


async def test_what_is_on_a_limit_is_taken_and_the_next_is_refused(
    cloud: Any, ask: Callable[..., Any]
) -> None:
    cloud.bind()
    found = []
    for place, (low, high) in LIMITS.items():
        tried = [low, high, None if high is None else high + 1, low - 1 if low else None]
        answers = [
            None if size is None else refused(await ask(*place, size), place[2]) for size in tried
        ]
        found.append((place, answers))
    expected = [None, False, True, None], [False, False, True, None], [False, False, True, True]
    assert [each for each in found if each[1] not in expected] == []


@pytest.mark.parametrize(
    "place", [place for place, (low, _) in LIMITS.items() if low == 0], ids=lambda each: each[2]
)
async def test_no_number_is_below_none(
    ask: Callable[..., Any], place: tuple[str, str, str]
) -> None:
    assert refused(await ask(*place, -1), place[2])


async def test_a_body_has_16_kib(cloud: Any) -> None:
    def body(size: int) -> bytes:
        head, tail = b'{"deviceUuid":"0083000000000a","more":"', b'"}'
        return head + b"x" * (size - len(head) - len(tail)) + tail

    async def status(size: int, *, announced: bool) -> int:
        async def pieces() -> AsyncIterator[bytes]:
            yield body(size)

        content = body(size) if announced else pieces()
        headers = cloud.headers() | {"Content-Type": "application/json"}
        answer = await cloud.http.post("/v1/device/unbind", content=content, headers=headers)
        return int(answer.status_code)

    for announced in (True, False):
        found = [await status(size, announced=announced) == 413 for size in (16_384, 16_385)]
        assert found == [False, True]


async def test_a_token_ends_after_60_days(cloud: Any) -> None:
    issued = cloud.clock.now
    found = []
    for after in (60 * 86_400_000 - 1, 60 * 86_400_000):
        cloud.clock.now = issued + after
        found.append((await cloud.get("/account/validate")).status_code)
    assert found == [200, 426]
