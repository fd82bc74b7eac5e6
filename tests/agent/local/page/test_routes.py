"""The page's routes as a program, a browser and a stranger ask them, by every way in."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.local.http import build_app
from agent.local.web import App
from agent.settings import VoiceSettings
from agent.voice.sender import VoiceSender
from tests.agent.local.page.machine import REFUSED, Machine
from tests.agent.local.rig import cancel, no_status
from tests.agent.memory_link import MemoryLink
from tests.agent.parts import BIND_TOKEN, UUID
from wire.pairing import pairing_text

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
TRIES = 5

SCRIPT = {"x-story-page": "1"}
HTTPS, HTTP = "https://127.0.0.1:8443", "http://127.0.0.1:8080"


class Site:
    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        dispatch = machine.dispatch()
        self.page = machine.page(dispatch)
        self._dispatch = dispatch

    def _build(self, token: str) -> App:
        voice = VoiceSender(MemoryLink(is_up=False), VoiceSettings())
        routes = self.page.routes(token)
        return build_app(self._dispatch, voice, no_status, cancel, routes, token)

    @contextlib.asynccontextmanager
    async def browser(
        self, base: str = HTTPS, token: str | None = None, client: Any = ("192.168.1.9", 1)
    ) -> AsyncIterator[httpx.AsyncClient]:
        app = self._build(self.machine.token if token is None else token)
        transport = httpx.ASGITransport(app, client=client)
        async with httpx.AsyncClient(transport=transport, base_url=base) as made:
            yield made

    async def log_in(self, browser: httpx.AsyncClient, **headers: str) -> httpx.Response:
        return await browser.post(
            "/page/session?lang=en", content=self.machine.token, headers=SCRIPT | headers
        )


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(Machine(tmp_path))


@pytest.mark.parametrize(("base", "cookie"), [(HTTPS, "__Host-story-page"), (HTTP, "story-page")])
async def test_the_log_in_opens_what_is_closed_to_everybody_else(
    site: Site, base: str, cookie: str
) -> None:
    async with site.browser(base) as browser:
        for path in ("state", "pair", "pair.svg"):
            assert (await browser.get(f"/page/{path}")).status_code == 401, path
        assert (await browser.put("/page/points/volume", content="9", headers=SCRIPT)).status_code == 401  # fmt: skip
        done = await site.log_in(browser)
        assert done.status_code == 201
        told = done.headers["set-cookie"]
        assert re.fullmatch(
            rf"{cookie}=\S+; HttpOnly; Max-Age=7776000; Path=/; SameSite=strict{'; Secure' if base == HTTPS else ''}",
            told,
        )
        assert (await browser.get("/page/state")).json()["volume"]["value"] == 6
        assert (await browser.get("/page/pair")).json()["token"] == BIND_TOKEN
        # The cookie opens the page, and nothing of the API for programs.
        assert (await browser.get("/resource", headers={"sec-fetch-site": "same-origin"})).status_code == 403  # fmt: skip
        assert (await browser.post("/voice")).status_code == 401


async def test_the_socket_needs_no_log_in_and_a_program_may_use_the_token(site: Site) -> None:
    async with site.browser("http://agent", client=None) as program:
        assert (await program.get("/page/state")).status_code == 200
    async with site.browser() as program:
        bearer = {"authorization": f"Bearer {site.machine.token}"}
        assert (await program.get("/page/state", headers=bearer)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:8443"},
        {"origin": "https://127.0.0.1:8444"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example"},
        {"x-story-page": ""},  # taken out below: a form cannot send it
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "session"), ("DELETE", "session"), ("PUT", "points/volume")],
)
async def test_what_another_page_sends_changes_nothing(
    site: Site, method: str, path: str, headers: Mapping[str, str]
) -> None:
    async with site.browser() as browser:
        assert (await site.log_in(browser)).status_code == 201
        sent = {**SCRIPT, **headers}
        if not sent["x-story-page"]:
            del sent["x-story-page"]
        answer = await browser.request(method, f"/page/{path}", content="9", headers=sent)
        assert answer.status_code in {400, 403}
        assert "set-cookie" not in answer.headers
        assert site.machine.points["volume"].orders == []
        assert (await browser.get("/page/state")).status_code == 200  # still logged in


async def test_a_link_to_the_page_may_be_followed(site: Site) -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    async with site.browser() as browser:
        answer = await browser.get("/", headers=headers)
        assert (answer.status_code, answer.headers["location"]) == (307, "/page/")
        assert (await browser.get("/page/", headers=headers)).status_code == 200


async def test_tokens_are_not_guessed(site: Site) -> None:
    async with site.browser() as stranger, site.browser(client=("192.168.1.20", 1)) as family:
        for _ in range(TRIES):
            answer = await stranger.post("/page/session", content="x", headers=SCRIPT)
            assert answer.status_code == 403
        late = await site.log_in(stranger)
        assert late.status_code == 429
        assert 0 < int(late.headers["retry-after"]) <= 30
        assert "Too many tries" in late.json()["text"]
        assert (await site.log_in(family)).status_code == 201


async def test_tries_side_by_side_are_counted_one_by_one(site: Site) -> None:
    begun, go = asyncio.Semaphore(0), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        begun.release()
        await go.wait()
        yield b"x"

    async with site.browser() as stranger, asyncio.timeout(20):
        posts = [
            asyncio.create_task(stranger.post("/page/session", content=slow(), headers=SCRIPT))
            for _ in range(4 * TRIES)
        ]
        for _ in posts:
            await begun.acquire()
        go.set()
        codes = [(await post).status_code for post in posts]
    assert sorted(codes) == [403] * TRIES + [429] * 3 * TRIES


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"x" * 5000])
async def test_what_is_no_token_is_refused(site: Site, body: bytes) -> None:
    async with site.browser() as browser:
        answer = await browser.post("/page/session", content=body, headers=SCRIPT)
        assert answer.status_code == 403


async def test_a_machine_that_could_store_no_token_takes_the_labels_code_alone(site: Site) -> None:
    async with site.browser(token="") as browser:
        answer = await browser.post("/page/session?lang=zh", content="", headers=SCRIPT)
        assert answer.status_code == 403
        assert answer.json()["text"] == "不是这台机器的绑定码或令牌"
        assert (await browser.get("/page/state")).status_code == 401
        done = await browser.post("/page/session", content=BIND_TOKEN, headers=SCRIPT)
        assert done.status_code == 201
        assert (await browser.get("/page/state")).status_code == 200


async def test_a_family_logs_in_by_the_code_of_its_label(site: Site) -> None:
    code = pairing_text(UUID, BIND_TOKEN)
    async with site.browser() as phone:
        done = await phone.post("/page/session", content=code, headers=SCRIPT)
        assert done.status_code == 201
        assert (await phone.get("/page/state")).status_code == 200
    assert BIND_TOKEN not in (site.machine.state / "page-sessions.json").read_text()
    async with site.browser() as program:  # it opens the page, and nothing else
        bearer = {"authorization": f"Bearer {BIND_TOKEN}"}
        for path in ("/resource", "/volume", "/page/state"):
            assert (await program.get(path, headers=bearer)).status_code == 401, path


async def test_a_set_answers_with_what_is_so_afterwards(site: Site) -> None:
    async with site.browser() as browser:
        await site.log_in(browser)
        done = (await browser.put("/page/points/volume?lang=en", content="9", headers=SCRIPT)).json()  # fmt: skip
        assert done["set"] == {"ok": True, "text": "Done"}
        assert done["volume"]["value"] == 9
        for value in ("99", "x", "", "9\n"):
            answer = await browser.put("/page/points/volume?lang=zh", content=value, headers=SCRIPT)
            assert answer.json()["set"]["ok"] is False, value
            assert answer.json()["volume"]["value"] == 9
        refused = await browser.put("/page/points/play?lang=zh", content=REFUSED.encode(), headers=SCRIPT)  # fmt: skip
        assert refused.json()["set"]["text"] == "play：现在是安静时段，到 06:30 为止"
        for name in ("switch", "newfirmware", "power", "nothing"):
            answer = await browser.put(f"/page/points/{name}", content="true", headers=SCRIPT)
            assert answer.status_code == 404, name


async def test_a_data_point_that_hangs_holds_up_nothing_else(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.machine.points["power"], "get", asyncio.Event().wait)
    site.page.point_seconds = 0.01
    async with site.browser("http://agent", client=None) as browser:
        told = (await browser.get("/page/state?lang=en")).json()
    assert told["battery"] == {"percent": None, "text": "it cannot be read now"}
    assert told["volume"]["value"] == 6


async def test_the_child_lock_does_not_hold_a_parents_phone(site: Site) -> None:
    site.machine.points["child_lock"].value = True
    async with site.browser() as browser:
        await site.log_in(browser)
        answer = await browser.put("/page/points/child_lock", content="false", headers=SCRIPT)
        assert answer.json()["rules"]["child_lock"] == "false"


async def test_files_are_ours_alone_and_fresh(site: Site) -> None:
    async with site.browser() as browser:
        page = await browser.get("/page/", headers={"accept-language": "en-GB,zh;q=0.5"})
        assert '<html lang="en">' in page.text
        assert '<html lang="zh">' in (await browser.get("/page/")).text
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["x-frame-options"] == "DENY"
        for name in ("", "page.css", "page.js", "words.js", "icon.svg"):
            found = await browser.get(f"/page/{name}")
            assert found.status_code == 200
            assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", found.text), name
            assert "style=" not in found.text
            tag = {"if-none-match": found.headers["etag"]}
            assert (await browser.get(f"/page/{name}", headers=tag)).status_code == 304
        for name in ("../http.py", "%2e%2e/routes.py", "static/page.js", "page.py"):
            assert (await browser.get(f"/page/{name}")).status_code in {401, 404}, name
