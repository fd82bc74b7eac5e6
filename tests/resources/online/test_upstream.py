"""Requests on real servers: who is spoken to, what redirects may do, TLS, and answers that are none."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

import resources.online.upstream
from machine.errors import RefusedError, ResourceError
from resources.online.policy import NOT_REACHED, AddressError, parse_target
from resources.online.upstream import CircleError, CutError, Response, StatusError, Upstream
from resources.playing.events import Kind
from tests.authority import Authority
from tests.resources.online.parts import NOT_ALLOWED, SOUND, Page, Site, make_upstream

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
REDIRECTS_LIMIT = 5


async def whole(response: Response) -> bytes:
    body = b""
    try:
        while data := await response.read():
            body += data
    finally:
        response.close()
    return body


async def get(upstream: Upstream, url: str, **options: Any) -> bytes:
    return await whole(await upstream.open(parse_target(url), **options))


async def test_a_story_and_what_its_server_says_of_it() -> None:
    async with Site(a_mp3=Page()).serve() as site:
        response = await make_upstream().open(parse_target(site.url("/a.mp3?token=1")))
        assert (response.facts.size, response.facts.ranges) == (len(SOUND), True)
        assert (response.facts.validator, response.facts.content_type) == ('"1"', "audio/mpeg")
        assert await whole(response) == SOUND
        assert site.asked[0].path == "/a.mp3?token=1"


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
async def test_every_framing(framing: str) -> None:
    page = Page(ranges=False, framing=framing)
    async with Site(a=page).serve() as site:
        response = await make_upstream().open(parse_target(site.url("/a")))
        assert response.facts.size == (len(SOUND) if framing == "length" else None)
        assert not response.facts.ranges
        assert await whole(response) == SOUND


async def test_a_part_is_asked_for_and_only_of_the_same_bytes() -> None:
    async with Site(a=Page()).serve() as site:
        target = parse_target(site.url("/a"))
        response = await make_upstream().open(target, start=1000, validator='"1"')
        assert response.start == 1000
        assert await whole(response) == SOUND[1000:]
        response = await make_upstream().open(target, start=1000, validator='"2"')
        assert response.start == 0
        assert await whole(response) == SOUND


async def test_a_head_request_brings_no_bytes() -> None:
    async with Site(a=Page()).serve() as site:
        facts = await make_upstream().check(parse_target(site.url("/a")))
        assert (facts.size, facts.validator, site.sent) == (len(SOUND), '"1"', 0)


async def test_an_internet_radio_of_the_first_shoutcast() -> None:
    page = Page(first_line="ICY 200 OK", ranges=False, framing="close")
    async with Site(a=page).serve() as site:
        assert await get(make_upstream(), site.url("/a")) == SOUND


@pytest.mark.parametrize("status", ["404 Not Found", "403 Forbidden", "500 Oops", "204 No Content"])
async def test_an_answer_that_is_no_story_is_named(status: str) -> None:
    async with Site(a=Page(status=status)).serve() as site:
        with pytest.raises(StatusError, match=f"the server answers {status[:3]}") as error:
            await make_upstream().open(parse_target(site.url("/a")))
        gone = status.startswith("404")
        assert error.value.kind is (Kind.NOT_FOUND if gone else Kind.BROKEN_OFF)


async def test_redirects_are_followed_up_to_their_limit() -> None:
    async with Site(a=Page()).serve() as site:
        for number in range(REDIRECTS_LIMIT + 1):
            to = f"/r{number - 1}" if number else "/a"
            site.pages[f"/r{number}"] = Page(
                status="302 Found", location=to, body=b"", ranges=False
            )
        assert await get(make_upstream(), site.url(f"/r{REDIRECTS_LIMIT - 1}")) == SOUND
        with pytest.raises(AddressError):
            await get(make_upstream(), site.url(f"/r{REDIRECTS_LIMIT}"))


@pytest.mark.parametrize("circle", [1, 2, 3])
async def test_redirects_in_a_circle_are_followed_once_round(circle: int) -> None:
    async with Site().serve() as site:
        for number in range(circle):
            to = f"/r{(number + 1) % circle}"
            site.pages[f"/r{number}"] = Page(status="307 Again", location=to, body=b"")
        with pytest.raises(CircleError, match=NOT_REACHED):
            await get(make_upstream(), site.url("/r0"))
        assert len(site.asked) == circle


async def test_a_server_is_not_asked_more_often_than_its_pace_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Site(a=Page()).serve() as site:
        upstream, told = make_upstream(), []
        monkeypatch.setattr(upstream._pace, "wait", lambda *asked: told.append(asked))
        for ask in (upstream.open, upstream.check):
            with pytest.raises(AddressError, match=NOT_REACHED) as error:
                await ask(parse_target(site.url("/a")))
            assert "asked too often" in error.value.detail
        assert [server for server, _patience in told] == [site.host] * 2
        assert site.connections == 0


@pytest.mark.parametrize("location", ["/小兔.mp3", "/%E5%B0%8F%E5%85%94.mp3"])
async def test_a_redirect_to_a_name_that_is_no_ascii(location: str) -> None:
    async with Site().serve() as site:
        site.pages["/%E5%B0%8F%E5%85%94.mp3"] = Page()
        site.pages["/r"] = Page(status="302 Found", location=location, body=b"", ranges=False)
        assert await get(make_upstream(), site.url("/r")) == SOUND


@pytest.mark.parametrize("host", [NOT_ALLOWED, "::1"])
async def test_a_redirect_to_another_network_is_refused_without_a_connection(host: str) -> None:
    async with Site(a=Page()).serve() as site, Site(a=Page()).serve(host) as inner:
        site.pages["/r"] = Page(status="302 Found", location=inner.url("/a"), body=b"")
        for url in (site.url("/r"), inner.url("/a")):
            with pytest.raises(AddressError, match=NOT_REACHED):
                await get(make_upstream(), url)
        assert inner.connections == 0


async def test_no_answer_tells_what_is_in_the_network(
    monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    """A closed port, no name, no HTTP, no answer, not allowed: the same words and the same class."""
    monkeypatch.setattr(resources.online.upstream, "OPEN_SECONDS", 0.3)

    async def say(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        writer.close()

    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with (
        await asyncio.start_server(say, "127.0.0.1", 0) as other,
        await asyncio.start_server(keep_silent, "127.0.0.1", 0) as silent,
    ):
        ports = [server.sockets[0].getsockname()[1] for server in (other, silent)]
        urls = [f"http://127.0.0.1:{port}/" for port in (unused_tcp_port, *ports)]
        urls += [
            "http://nowhere.invalid/",
            f"http://{NOT_ALLOWED}/",
            "http://10.0.0.1/",
            "http://h:22/",
        ]
        urls += [f"https://127.0.0.1:{ports[0]}/"]
        told = set()
        for url in urls:
            with pytest.raises(ResourceError) as error:
                await get(make_upstream(), url)
            told.add((type(error.value), str(error.value)))
    assert told == {(AddressError, NOT_REACHED)}


async def test_the_connection_goes_to_the_address_that_was_judged() -> None:
    """A name that answers otherwise the second time is looked up once only."""
    asked = []

    async def resolve(host: str, port: int) -> list[tuple[Any, ...]]:
        asked.append(host)
        addresses = ["10.0.0.1", NOT_ALLOWED, "127.0.0.1"] if len(asked) == 1 else [NOT_ALLOWED]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in addresses]

    async with Site(a=Page()).serve() as site, Site(a=Page()).serve(NOT_ALLOWED) as inner:
        url = f"http://story.example:{site.port}/a"
        assert await get(make_upstream(resolve=resolve), url) == SOUND
        assert asked == ["story.example"]
        assert f"story.example:{site.port}" in site.asked[0].head
        with pytest.raises(AddressError):
            await get(make_upstream(resolve=resolve), url)
        assert inner.connections == 0


async def test_a_resolver_that_hangs_holds_no_thread_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resources.online.upstream, "OPEN_SECONDS", 0.05)
    answered = threading.Event()

    def hang(*_names: object, **_options: object) -> list[Any]:
        answered.wait(60)
        raise OSError(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        for number in range(40):
            with pytest.raises(AddressError, match=NOT_REACHED):
                await make_upstream().open(parse_target(f"http://host{number}.example/"))
        async with asyncio.timeout(60):
            assert await asyncio.to_thread(lambda: 5) == 5
    finally:
        answered.set()


async def test_an_address_that_answers_is_found_behind_one_that_does_not(
    unused_tcp_port: int,
) -> None:
    async def resolve(_host: str, port: int) -> list[tuple[Any, ...]]:
        ports = (unused_tcp_port, port)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", p)) for p in ports]

    async with Site(a=Page()).serve() as site:
        url = f"http://story.example:{site.port}/a"
        assert await get(make_upstream(resolve=resolve), url) == SOUND


class TestTls:
    """https with certificates of the tests' authority."""

    @staticmethod
    def trusting(tmp_path: Path, authority: Authority) -> Upstream:
        ca = tmp_path / "ca.pem"
        ca.write_text(authority.pem)
        return make_upstream(ca_file=ca)

    async def test_a_story_over_https(self, tmp_path: Path) -> None:
        authority = Authority()
        async with Site(a=Page()).serve(tls=authority.server_context()) as site:
            url = site.url("/a", scheme="https")
            assert await get(self.trusting(tmp_path, authority), url) == SOUND

    @pytest.mark.parametrize("fault", ["host", "expired", "not yet", "authority"])
    async def test_a_certificate_that_is_not_the_servers_is_refused_before_the_request(
        self, tmp_path: Path, fault: str
    ) -> None:
        authority, day = Authority(), dt.timedelta(days=1)
        tls = {
            "host": authority.server_context("other.example"),
            "expired": authority.server_context(start=-2 * day, end=-day),
            "not yet": authority.server_context(start=day, end=2 * day),
            "authority": Authority().server_context(),
        }[fault]
        async with Site(a=Page()).serve(tls=tls) as site:
            with pytest.raises(AddressError) as error:
                await get(self.trusting(tmp_path, authority), site.url("/a", scheme="https"))
            assert site.asked == []
            assert "certificate" in error.value.detail

    async def test_a_redirect_out_of_tls_is_refused(self, tmp_path: Path) -> None:
        authority = Authority()
        async with (
            Site().serve(tls=authority.server_context()) as site,
            Site(a=Page()).serve() as plain,
        ):
            site.pages["/r"] = Page(status="301 Moved", location=plain.url("/a"), body=b"")
            site.pages["/same"] = Page(status="301 Moved", location="/a", body=b"")
            site.pages["/a"] = Page()
            upstream = self.trusting(tmp_path, authority)
            with pytest.raises(AddressError):
                await get(upstream, site.url("/r", scheme="https"))
            assert plain.connections == 0
            assert await get(upstream, site.url("/same", scheme="https")) == SOUND


async def test_the_login_is_sent_and_in_no_message() -> None:
    async with Site(a=Page(cuts=[-1])).serve() as site:
        url = site.url("/a").replace("http://", "http://parent:secret@")
        with pytest.raises(RefusedError) as error:
            await get(make_upstream(), url)
        assert "secret" not in str(error.value)
        assert "Authorization: Basic cGFyZW50OnNlY3JldA==" in site.asked[0].head


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_cut_body_is_no_end(framing: str) -> None:
    async with Site(a=Page(cuts=[2000], framing=framing)).serve() as site:
        response = await make_upstream().open(parse_target(site.url("/a")))
        with pytest.raises(CutError):
            await whole(response)


async def test_silence_is_a_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources.online.upstream, "READ_SECONDS", 0.05)
    async with Site(a=Page(held=2000)).serve() as site:
        response = await make_upstream().open(parse_target(site.url("/a")))
        with pytest.raises(CutError, match="nothing in"):
            await whole(response)


async def test_another_part_than_asked_for_is_refused() -> None:
    async with Site(a=Page()).serve() as site:
        site.pages["/a"] = Page(first_line="HTTP/1.1 206 Partial Content", ranges=False)
        with pytest.raises(CutError, match="another part"):
            await make_upstream().open(parse_target(site.url("/a")), start=7)


async def test_a_head_without_end_is_refused_with_bounded_memory() -> None:
    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"HTTP/1.1 200 OK\r\n")
            while True:
                writer.write(b"X: " + b"y" * 1000 + b"\r\n")
                await writer.drain()
        except OSError:
            writer.close()

    async with await asyncio.start_server(flood, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(AddressError):
            await make_upstream().open(parse_target(f"http://127.0.0.1:{port}/"))


async def test_an_order_given_up_closes_its_connection() -> None:
    gone = asyncio.Event()

    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        gone.set()
        writer.close()

    asked = asyncio.Event()
    async with (
        await asyncio.start_server(keep_silent, "127.0.0.1", 0) as server,
        asyncio.timeout(60),
    ):
        port = server.sockets[0].getsockname()[1]
        order = asyncio.create_task(make_upstream().open(parse_target(f"http://127.0.0.1:{port}/")))
        await asked.wait()
        order.cancel()
        await gone.wait()
