"""Feeds the cloud's doors with odd input: the open API, the console, and what devices send to the gateway.

Everything runs in one process, on a store in a folder of its own, which is made anew from time to time. An answer of 4xx or
2xx is right whatever was asked; a 500, an exception, or silence is a bug. The share that was taken is told: a door that
refuses everything at its threshold was not tried.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from staging.api.envelope import PREFIX
from staging.identity.signature import new_nonce, sign
from tools.attack.odd import BODIES, ODD_TEXTS
from tools.fuzz_stage import Answered, Peer, Stage, http, odd_header, staged
from tools.fuzz_words import api_words, console_request, report_bytes, spoilt
from tools.mutations import mutate
from wire.exchange import Request
from wire.reports import (
    REGISTER_PATH,
    REPORT_PATH,
    Credentials,
    registration_payload,
    report_query,
)

# A store in which more was done answers slowly.
INPUTS_OF_A_STAGE = 6_000
# After so many requests what they have taken away is given back.
MEND_EVERY = 50
OPENAPI_PATH = "/openapi.json"
SHOWN_BUGS = 3
# The consent page checks a password; as `tools.fuzz_words.COSTLY`.
CONSENT, CONSENT_SHARE = ("POST", f"{PREFIX}/account/authorize"), 100

# So many ask at once: some answers wait for a device.
ASKERS = 6
DOORS = {"open API": "api", "console": "console", "gateway": "gateway"}

Route = tuple[str, str, tuple[str, ...]]
Ask = Callable[[random.Random], Awaitable[str]]


class Doors:
    """The ways into a stage's cloud; each asks once, and returns what is wrong with the answer, "" if nothing is."""

    def __init__(self, stage: Stage, routes: Sequence[Route], seen: Counter[str]) -> None:
        """Ask those ``routes`` of the open API; count in ``seen`` what the answers were."""
        self._stage, self._routes, self._seen, self._asked = stage, routes, seen, 0

    async def api(self, chance: random.Random) -> str:
        """Send an odd request to the open API, signed as its app does."""
        stage = self._tended()
        method, path, names = chance.choice(self._routes)
        if (method, path) == CONSENT and chance.randrange(CONSENT_SHARE):
            method = "GET"
        nonce, key = new_nonce(), stage.app.apikey
        headers = {
            "x-iot-app": key, "x-iot-signature": sign(nonce, key, stage.app.secret, stage.token),
            "x-iot-token": stage.token, "content-type": "application/json",
        }  # fmt: skip
        if chance.random() < 0.1:
            headers[chance.choice([*headers, "origin", "range"])] = odd_header(chance)
        words = api_words(stage)
        values = spoilt({name: words.get(name, "1") for name in names}, tuple(words), chance)
        query = urlencode({name: _utf8(value) for name, value in values.items()})
        body = _body(values, chance) if method != "GET" else b""
        return self._judge(await http(stage.api, method, path, headers, body, query))

    async def console(self, chance: random.Random) -> str:
        """Send an odd request to the console, logged in."""
        stage = self._tended()
        route, path, query, body = console_request(stage, chance)
        headers = {
            "cookie": stage.cookie, "x-csrf-token": stage.csrf, "content-type": "application/json",
        }  # fmt: skip
        if chance.random() < 0.1:
            names = ["origin", "host", "last-event-id", "range", "cookie", "content-type"]
            headers[chance.choice(names)] = odd_header(chance)
        if body and chance.random() < 0.2:
            body = chance.choice([chance.choice(BODIES), mutate(body, chance)])
        answer = await http(stage.console, route[0], path, headers, body, query)
        if answer.status == 401:
            stage.enter()  # the session was ended by one of them
        return self._judge(answer)

    async def gateway(self, chance: random.Random) -> str:
        """Send what no device sends."""
        stage = self._stage
        told = Credentials(stage.device.uuid, stage.device.token)
        if chance.random() < 0.1:
            payload = mutate(registration_payload(told), chance)
            # On a connection of its own: a wrong one counts against its connection.
            await stage.gateway.serve(Peer(), Request("POST", REGISTER_PATH, (), payload))
            self._seen["refused"] += 1
            return ""
        payload = report_bytes(stage, chance)
        if chance.random() < 0.2:
            payload = mutate(payload, chance)
        path = REPORT_PATH if chance.random() < 0.97 else (chance.choice(ODD_TEXTS),)
        answer = await stage.gateway.serve(
            stage.peer, Request("POST", path, report_query(told), payload)
        )
        kind = answer.code >> 5
        self._seen["taken" if kind == 2 else "refused"] += 1
        return "" if kind in {2, 4} else f"{answer.code:#x} {answer.text}"

    def _tended(self) -> Stage:
        """Return the stage; from time to time what odd requests have taken away is given back first."""
        self._asked += 1
        if self._asked % MEND_EVERY == 0:
            self._stage.mend()
        return self._stage

    def _judge(self, answer: Answered) -> str:
        self._seen["taken" if answer.status < 400 else "refused"] += 1
        # 502 to 504 are told of devices that do not answer.
        if answer.status < 500 or (answer.status in {502, 503, 504} and not _is_bug(answer.body)):
            return ""
        return f"{answer.status} {answer.body[:200]!r}"


async def api_routes(stage: Stage) -> list[Route]:
    """Return method, path and the names of parameters and members of each route of the open API, as it says itself."""
    described = json.loads((await http(stage.api, "GET", OPENAPI_PATH)).body)
    schemas, found = described["components"]["schemas"], []
    for path, methods in described["paths"].items():
        for method, route in methods.items():
            names = [each["name"] for each in route.get("parameters", ()) if each["in"] == "query"]
            for content in route.get("requestBody", {}).get("content", {}).values():
                shape = content["schema"]
                shape = schemas[shape["$ref"].rpartition("/")[2]] if "$ref" in shape else shape
                names += shape.get("properties", {})
            found.append((method.upper(), path, tuple(names)))
    return found


def _is_bug(body: bytes) -> bool:
    """Return whether the answer is of an error that is not the request's; nobody else uses the store."""
    return any(word in body for word in (b'"bug"', b"the store cannot", b"database"))


def _body(value: dict[str, Any], chance: random.Random) -> bytes:
    """Return a value as JSON, in one of four cases broken."""
    body = json.dumps(value).encode()
    return mutate(body, chance) if chance.random() < 0.25 else body


def _utf8(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return (
        quote(text.encode("utf-8", "surrogatepass")).replace("%", "")[:600]
        if "\ud800" in text
        else text[:600]
    )


async def fuzz_cloud(inputs: int, seed: int, tell: Callable[[str], None]) -> int:
    """Ask so much, shared out over the three doors; return the number of bugs."""
    chance = random.Random(seed)  # noqa: S311  # inputs, not secrets
    logging.getLogger().setLevel(logging.CRITICAL)
    each = inputs // len(DOORS) + 1
    return sum([await _fuzz_door(name, each, chance, tell) for name in DOORS])


async def _fuzz_door(
    name: str, inputs: int, chance: random.Random, tell: Callable[[str], None]
) -> int:
    seen, faults = Counter[str](), list[str]()
    for begun in range(0, inputs, INPUTS_OF_A_STAGE):
        left = min(inputs - begun, INPUTS_OF_A_STAGE)
        async with staged(chance) as stage, asyncio.TaskGroup() as group:
            doors = Doors(stage, await api_routes(stage), seen)
            for asker in range(ASKERS):
                share = len(range(asker, left, ASKERS))
                group.create_task(_ask_often(getattr(doors, DOORS[name]), share, chance, faults))
    for fault in faults[:SHOWN_BUGS]:
        tell(f"{name}: {fault}")
    tell(f"{name}: {inputs:,} inputs, {seen['taken']:,} taken, {len(faults)} failed")
    return len(faults)


async def _ask_often(ask: Ask, times: int, chance: random.Random, faults: list[str]) -> None:
    for _ in range(times):
        try:
            fault = await ask(chance)
        except Exception as error:  # noqa: BLE001  # what this program looks for
            fault = f"{type(error).__name__}: {error}"
        if fault:
            faults.append(fault)
