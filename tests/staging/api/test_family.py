"""What a family has stored: read, taken along and erased by its owner; and nothing of it for the next one, by any way.

Tests staging.api.family_schema too.
"""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.applications import Starlette
from starlette.routing import Route

from staging.api.app import ROUTERS, create_app
from staging.api.openapi import is_signed, routes_of
from staging.console.app import create_console
from staging.console.call import COOKIE
from staging.data_dir import DataDir
from staging.erasing import Eraser
from staging.identity.rights import Role
from staging.recognition.kinds import Kind
from staging.recognition.outcomes import VOICE, Outcome
from staging.recognition.service import Recognition
from staging.services import Services
from staging.store import apps, devices, ota
from staging.store.accounts import Login
from wire.codes import Code
from wire.exchange import Answer
from wire.fields import dump_object
from wire.reports import REPORT_PATH, report_query
from wire.utterance_times import UtteranceTimes
from wire.voice import HeaderStyle, Segmenter

UUID = "0083000000000a"
# What only the first family may see, each of one kind.
NAME, TITLE, SENTENCE = "小熊的卧室", "三只小猪", "给我讲故事"
VOICE_MARK = b"first-family's-voice-of-38-bytes-exact!"[:38]
KEYS = ("play", "voice_control", "utterance_times", "")
DEADLINE = 60.0

# The statements are tried on both databases by the store's own tests.
pytestmark = pytest.mark.one_database


class Home:
    """A cloud with a console and recognition, and the accounts that have the device one after the other."""

    def __init__(self, cloud: Any, folder: Path) -> None:
        self.cloud = cloud
        data = DataDir(folder)
        self.recognition = Recognition(
            cloud.database, cloud.gateway.control, data, clock=cloud.clock
        )
        self.eraser = Eraser(cloud.database, self.recognition.outcomes, cloud.clock)
        cloud.gateway.erase_rest = self.eraser.soon
        services = Services(
            cloud.database, cloud.gateway, cloud.nonces, cloud.clock, self.recognition,
            erase_rest=self.eraser.soon, voice_days=30,
        )  # fmt: skip
        app = create_app(services, folder / "tuf")
        cloud.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cloud")
        self.console: Starlette = create_console(services, data)

    def be(self, who: str) -> None:
        """Ask as another account from now on."""
        database, now = self.cloud.database, self.cloud.clock()
        self.cloud.token, _ = database.call(apps.issue_token, self.cloud.app.id, who, now)

    def tick(self, ms: int = 1000) -> None:
        self.cloud.clock.now += ms

    async def bind(self, token: str | None = None) -> int:
        token = token or self.cloud.database.call(devices.get, UUID).bind_token
        return int(
            (await self.cloud.post("/device/bind", deviceUuid=UUID, token=token)).status_code
        )

    async def delete(self, path: str, **params: Any) -> httpx.Response:
        headers = self.cloud.headers()
        response: httpx.Response = await self.cloud.http.request(
            "DELETE", f"/v1{path}", params=params, headers=headers
        )
        return response

    def _as_tester(self, session: Any, who: str) -> Login:
        """Return the log-in of a family that may use the console as well; its own devices alone are open to it."""
        account = apps.account(session, who, self.cloud.clock())
        account.role = Role.TESTER
        return Login(account.id, account.uuid, who, None, Role.TESTER, account.generation)

    def as_in_the_console(self, who: str) -> httpx.AsyncClient:
        login = self.cloud.database.call(self._as_tester, who)
        cookie, _ = self.console.state.console.sessions.begin(login)
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.console), base_url="http://cloud",
            cookies={COOKIE: cookie},
        )  # fmt: skip


@pytest.fixture
async def home(cloud: Any, tmp_path: Path) -> Home:
    return Home(cloud, tmp_path)


async def live(home: Home, device: Any) -> None:
    """Let a family live with its device: a name, a history, an update, and a sentence that was understood."""
    await home.cloud.put("/device/name/update", deviceUuid=UUID, name=NAME)
    await device.report({"play": TITLE, "volume": 5, "power": 77})
    segmenter = Segmenter(10_001, 8000, HeaderStyle.LENGTH32)
    segments = [segmenter.add(VOICE_MARK) for _ in range(30)]
    for segment in [*filter(None, segments), *segmenter.finish()]:
        home.tick(300)
        await device.report({"voice_control": segment.to_json()})
    times = UtteranceTimes(10_001, "sent", {"opened": 0.2}, "button")
    await device.report({"utterance_times": times.to_json()})
    heard = Outcome(
        UUID, home.cloud.clock(), VOICE, utterance=10_001, text=SENTENCE, kind=Kind.DONE
    )
    await asyncio.to_thread(home.recognition.outcomes.add, heard)
    home.cloud.release("9.9.9")
    await home.cloud.post("/device/ota/update", deviceUuid=UUID, packageId=1)
    home.tick()


def takes_tokens() -> dict[tuple[str, str], Answer]:
    return {("PUT", "family"): Answer(Code.CHANGED)}


async def with_first_family(home: Home) -> Any:
    device = await home.cloud.register(answers=takes_tokens())
    await device.report({"device_info": {"uuid": UUID, "reads": ["family"]}})
    await device.expect("PUT", "family")
    assert await home.bind() == 200
    await live(home, device)
    await home.cloud.settle()
    while not device.asked.empty():  # the order of the update, which it refuses
        device.asked.get_nowait()
    return device


def get_routes() -> list[APIRoute]:
    return [
        route for route in routes_of(ROUTERS) if "GET" in (route.methods or ()) and is_signed(route)
    ]


async def everything(home: Home, who: str) -> str:
    """Return what every GET of the open API and of the console answers to an account, as one text."""
    home.be(who)
    token = home.cloud.database.call(devices.get, UUID).bind_token
    common = {"deviceUuid": UUID, "token": token, "propertyKey": "play", "packageId": 1}
    texts = []
    for route in get_routes():
        for key in KEYS if "query" in route.path else KEYS[:1]:
            asked = {**common, "propertyKey": key}
            texts.append((await home.cloud.http.get(
                f"/v1{route.path}", params=asked, headers=home.cloud.headers()
            )).text)  # fmt: skip
    async with home.as_in_the_console(who) as browser:
        for page in home.console.routes:
            if not isinstance(page, Route) or "GET" not in (page.methods or ()):
                continue
            if "live" not in page.path and page.path.startswith("/api"):
                path = page.path.replace("{uuid}", UUID).replace(
                    "{start:id}-{number:id}", "1-10001"
                )
                texts.append((await browser.get(path, params={"key": "play", "hours": 720})).text)
    return "\n".join(texts)


# As Base64 has it, wherever the frame lies in its segment.
VOICE_TEXT = base64.b64encode(len(VOICE_MARK).to_bytes(4, "little") + VOICE_MARK).decode()[6:50]
SEEN = (NAME, TITLE, SENTENCE, VOICE_TEXT, "9.9.9")


async def test_the_second_family_sees_nothing_of_the_first_by_any_get(home: Home) -> None:
    device = await with_first_family(home)
    mine = await everything(home, "tester")
    assert [mark for mark in SEEN if mark not in mine] == []  # they are there to be seen
    home.be("tester")
    response = await home.cloud.post("/device/unbind", deviceUuid=UUID)
    assert response.json() == {"data": True, "code": 0, "message": ""}
    new = json.loads((await device.expect("PUT", "family")).payload)
    await home.cloud.settle()
    home.tick()
    home.be("second")
    assert await home.bind(new["bindToken"]) == 200
    theirs = await everything(home, "second")
    # The package of the update is the product's, and on offer to everybody.
    assert [mark for mark in SEEN[:-1] if mark in theirs] == []
    assert home.cloud.database.call(ota.latest, home.cloud.device.id) is None
    former = await everything(home, "tester")
    assert [mark for mark in SEEN[:-1] if mark in former] == []


async def test_after_unbinding_the_machine_is_told_a_new_token_and_the_old_one_is_dead(
    home: Home,
) -> None:
    device = await with_first_family(home)
    old = home.cloud.device.bind_token
    home.be("tester")
    response = await home.cloud.post("/device/unbind", deviceUuid=UUID)
    told = json.loads((await device.expect("PUT", "family")).payload)
    assert len(told["bindToken"]) == 32
    assert told["bindToken"] != old
    assert told["since"] >= home.cloud.clock() - 1
    await home.cloud.settle()
    for who in ("tester", "second"):
        home.be(who)
        assert await home.bind(old) == 403
    await home.eraser.rest()
    home.be("tester")
    number = response.headers["X-Story-Receipt"]
    receipt = (await home.cloud.get("/device/data/receipt", receipt=number)).json()["data"]
    assert (receipt["status"], receipt["kind"], receipt["utterances"]) == ("DONE", "unbind", 1)
    home.be("second")
    assert (await home.cloud.get("/device/data/receipt", receipt=number)).status_code == 404


async def test_what_a_family_reported_before_and_comes_later_is_not_the_next_one_s(
    home: Home,
) -> None:
    await with_first_family(home)
    home.be("tester")
    told_at = home.cloud.clock()
    home.tick()
    await home.cloud.post("/device/unbind", deviceUuid=UUID)
    await home.cloud.settle()
    home.tick()
    device = await home.cloud.register(answers=takes_tokens())
    title = "丑小鸭"
    report = {"number": 1, "time": told_at, "data": {"play": title}}
    answer = await device.endpoint.request(
        device.connection, "POST", REPORT_PATH,
        dump_object({"epoch": "0" * 16, "reports": [report]}),
        query=report_query(device.credentials), deadline=DEADLINE,
    )  # fmt: skip
    assert answer.code == Code.CHANGED
    home.be("second")
    await home.bind(home.cloud.database.call(devices.get, UUID).bind_token)
    assert title not in await everything(home, "second")


async def the_ledger_says_why_how_long_how_much_where_and_until_when(home: Home) -> None:
    body = (await home.cloud.get("/device/data/voice", deviceUuid=UUID)).json()
    (entry,) = body["data"]
    assert (entry["why"], entry["result"], entry["seconds"], entry["bytes"]) == (
        "button", "sent", 0.6, 30 * 42,
    )  # fmt: skip
    assert (entry["places"], entry["eraseTime"], body["nextPage"]) == (["history"], None, None)
    assert entry["time"] < entry["deleteTime"]


async def one_utterance_is_erased_with_a_receipt(home: Home) -> None:
    (entry,) = (await home.cloud.get("/device/data/voice", deviceUuid=UUID)).json()["data"]
    response = await home.delete("/device/data/voice", deviceUuid=UUID, id=entry["id"])
    receipt = response.json()["data"]
    assert (receipt["status"], receipt["utterances"], receipt["kind"]) == ("DONE", 1, "utterances")
    assert "copies" in receipt["backups"]
    left = await everything(home, "tester")
    assert SENTENCE not in left
    assert "voice_control" not in left
    assert TITLE in left
    home.be("tester")
    again = await home.delete("/device/data/voice", deviceUuid=UUID, id=entry["id"])
    assert (again.status_code, again.json()["message"]) == (
        404, f"id {entry['id']}: no such utterance, or it was erased before",
    )  # fmt: skip
    (entry,) = (await home.cloud.get("/device/data/voice", deviceUuid=UUID)).json()["data"]
    assert (entry["erasedBy"], entry["places"]) == ("utterances", [])


async def everything_goes_and_the_device_stays_bound(home: Home) -> None:
    voice = (await home.delete("/device/data/voice", deviceUuid=UUID)).json()["data"]
    assert (voice["status"], voice["kind"], voice["rows"]) == ("DONE", "voice", 0)  # none is left
    assert TITLE in await everything(home, "tester")
    home.be("tester")
    whole = (await home.delete("/device/data", deviceUuid=UUID)).json()["data"]
    assert (whole["status"], whole["kind"]) == ("DONE", "all")
    left = await everything(home, "tester")
    assert [mark for mark in (NAME, TITLE, SENTENCE) if mark in left] == []
    home.be("tester")
    assert (await home.cloud.get("/device/info/by_uuid", deviceUuid=UUID)).status_code == 200


async def an_export_has_all_of_it_and_ends_with_its_end(home: Home) -> None:
    response = await home.cloud.get("/device/data", deviceUuid=UUID)
    lines = [json.loads(line) for line in response.text.splitlines()]
    kinds = [line["part"] for line in lines]
    assert (kinds[0], kinds[-1], lines[-1]["lines"]) == ("device", "end", len(lines) - 1)
    assert {"report", "voice", "sentence", "update"} <= set(kinds)
    assert all(mark in response.text for mark in (NAME, TITLE, SENTENCE))
    assert response.headers["content-disposition"] == f'attachment; filename="{UUID}.jsonl"'


async def test_a_family_reads_takes_along_and_erases_what_is_its_own(home: Home) -> None:
    await with_first_family(home)
    home.be("tester")
    await the_ledger_says_why_how_long_how_much_where_and_until_when(home)
    await an_export_has_all_of_it_and_ends_with_its_end(home)
    await one_utterance_is_erased_with_a_receipt(home)
    await everything_goes_and_the_device_stays_bound(home)


WRONG = [
    ("DELETE", "/device/data/voice", {"id": "1,x"}, 400, "id: got"),
    ("DELETE", "/device/data/voice", {"id": ""}, 400, "id: got"),
    ("DELETE", "/device/data/voice", {"id": ",".join("1" * 101)}, 400, "id: got"),
    ("DELETE", "/device/data/voice", {"id": "9" * 30}, 400, "id: got"),
    ("DELETE", "/device/data/voice", {"id": "77"}, 404, "id 77"),
    ("GET", "/device/data/voice", {"limit": "0"}, 400, "limit"),
    ("GET", "/device/data/voice", {"nextPage": "-1"}, 400, "nextPage"),
    ("GET", "/device/data/receipt", {"receipt": "x"}, 400, "receipt"),
    ("GET", "/device/data/receipt", {"receipt": "0" * 32}, 404, "receipt"),
    ("GET", "/device/data", {"deviceUuid": "f" * 14}, 404, "device not exist"),
]


async def test_what_is_wrong_is_named(home: Home) -> None:
    home.cloud.bind()
    for method, path, params, status, words in WRONG:
        asked = {"deviceUuid": UUID, **params}
        response = await home.cloud.http.request(
            method, f"/v1{path}", params=asked, headers=home.cloud.headers()
        )
        found = response.status_code, words in response.json()["message"]
        assert found == (status, True), (path, params, response.text)


async def test_it_is_for_the_owner_alone(home: Home) -> None:
    home.cloud.bind()
    home.be("second")
    for method in ("GET", "DELETE"):
        for path in ("/device/data", "/device/data/voice"):
            response = await home.cloud.http.request(
                method, f"/v1{path}", params={"deviceUuid": UUID}, headers=home.cloud.headers()
            )
            assert (response.status_code, response.json()["code"]) == (403, "1212")


async def test_who_has_the_old_code_does_not_see_the_name_that_another_family_gave(
    home: Home,
) -> None:
    """Firmware that takes no new token: the first family still knows the token that binds."""
    home.cloud.bind()
    home.be("tester")
    await home.cloud.post("/device/unbind", deviceUuid=UUID)
    token = home.cloud.device.bind_token
    home.be("second")
    assert await home.bind(token) == 200
    await home.cloud.put("/device/name/update", deviceUuid=UUID, name=NAME)
    home.be("tester")
    info = (await home.cloud.get("/device/info/by_token", deviceUuid=UUID, token=token)).json()
    assert (info["data"]["name"], info["data"]["accountUuid"]) == ("", None)
