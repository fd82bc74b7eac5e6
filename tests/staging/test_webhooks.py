"""Webhooks: addresses, signatures, tries, and a real receiver with TLS.

Tests staging.store.webhooks too.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import http.server
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from sqlalchemy import insert

import staging.webhooks as webhook_sender
from staging.alarm_rules import Kind, Seen
from staging.errors import NotFoundError, StagingError
from staging.store import Database, alarms, webhooks
from staging.store.alarm_models import Delivery
from staging.store.webhooks import GIVEN_UP, PAUSES, WAITING, Due
from staging.webhooks import Sender, addresses, is_public, post, sign
from tests.staging.conftest import FakeClock
from wire.errors import FieldError


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True), ("2606:2800:21f:cb07::1", True), ("127.0.0.1", False), ("10.1.2.3", False),
        ("172.16.0.1", False), ("192.168.1.1", False), ("169.254.169.254", False), ("100.64.0.1", False),
        ("0.0.0.0", False), ("224.0.0.1", False), ("255.255.255.255", False), ("::1", False), ("::", False),
        ("fe80::1%eth0", False), ("fc00::1", False), ("ff02::1", False), ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True), ("2002:7f00:1::", False), ("64:ff9b::7f00:1", False),
    ],
)  # fmt: skip
def test_which_addresses_are_public(address: str, *, public: bool) -> None:
    assert is_public(address) is public


def test_a_name_that_leads_home_is_refused() -> None:
    for host in ("127.0.0.1", "localhost", "0x7f.1", "2130706433", "[::1]".strip("[]")):
        with pytest.raises((StagingError, OSError)):
            addresses(host, 443, allow_private=False)
    assert addresses("127.0.0.1", 443, allow_private=True) == ["127.0.0.1"]


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/", "ftp://example.org", "https://", "example.org", "https://u:p@example.org/",
        "https://example.org/#x", "https://example.org/a b", "https://example.org:99999/",
        "https://example.org/\n", "https://[::1", "https://example.org/" + "x" * 1000, "", "https://h:0/",
    ],
)  # fmt: skip
@pytest.mark.one_database
def test_an_address_that_is_none(database: Database, url: str) -> None:
    with pytest.raises(FieldError, match="url") as caught:
        database.call(webhooks.add, url, 0)
    assert "u:p" not in str(caught.value)


def test_tries_end(database: Database) -> None:
    hook = database.call(webhooks.add, "https://example.org/", 0)
    with pytest.raises(StagingError, match="there is one already"):
        database.call(webhooks.add, "https://example.org/", 0)
    first = database.call(webhooks.test, hook.id, 0)
    second = database.call(webhooks.test, hook.id, 0)
    now = 0
    for place, pause in enumerate(PAUSES):
        (due,) = database.call(webhooks.due, now, 9)
        assert due.id == first.id  # in their order
        database.call(webhooks.note, due.id, "HTTP 500", now, 1.0)
        assert database.call(webhooks.due, now + pause * 1000, 9) == [], place
        now += round(pause * 1200)
    database.call(webhooks.note, first.id, "x" * 999, now, 0.0)
    kept = database.call(lambda s: s.get_one(Delivery, first.id))
    assert (kept.state, kept.tries, len(kept.problem)) == (GIVEN_UP, len(PAUSES) + 1, 200)
    assert [due.id for due in database.call(webhooks.due, now, 9)] == [second.id]
    (told,) = database.call(webhooks.listing)
    last, waiting = told.newest[0], told.waiting
    assert told.tried is not None
    assert told.tried.id == first.id
    assert (last is not None and last.id, waiting) == (second.id, 1)
    database.call(webhooks.remove, hook.id)
    assert database.call(webhooks.due, now, 9) == []
    for missing in (webhooks.remove, lambda s, n: webhooks.test(s, n, 0)):
        with pytest.raises(NotFoundError, match="webhook 1"):
            database.call(missing, hook.id)


@pytest.mark.one_database
def test_a_thousand_messages_wait_for_an_address_and_the_newest_five_are_shown(
    database: Database,
) -> None:
    hook = database.call(webhooks.add, "https://example.org/", 0)

    def make(session: Any) -> None:
        row = {
            "webhook_id": hook.id,
            "body": "{}",
            "state": WAITING,
            "next_time": 0,
            "create_time": 0,
        }
        session.execute(insert(Delivery), [row] * 1001)

    database.call(make)
    database.call(webhooks.forget_old, 1)
    (told,) = database.call(webhooks.listing)
    assert (told.waiting, len(told.newest)) == (1000, 5)
    assert [each.id for each in told.newest] == [1001, 1000, 999, 998, 997]
    oldest = database.call(lambda s: s.get_one(Delivery, 1))
    assert (oldest.state, oldest.problem) == (GIVEN_UP, "too many wait for this address")


Answering = Callable[[http.server.BaseHTTPRequestHandler], None]


class Receiver:
    """A receiver of webhooks with TLS on loopback."""

    def __init__(self, folder: Path, instead: Answering | None = None) -> None:
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        self.trusts = ssl.create_default_context()
        authority.configure_trust(self.trusts)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # http.server's name
                if instead is not None:
                    instead(self)
                    return
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((dict(self.headers), body))
                self.send_response(outer.answers.pop(0))
                self.send_header("Location", "https://localhost/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's name
                """Say nothing."""

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://localhost:{self.server.server_address[1]}/hook?a=1"
        self.folder = folder
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    made = Receiver(tmp_path)
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.mark.one_database
async def test_a_message_is_signed_and_tried_until_it_is_taken(
    database: Database, clock: FakeClock, receiver: Receiver
) -> None:
    hook = database.call(webhooks.add, receiver.url, 0)
    database.call(webhooks.test, hook.id, clock.now)
    sender = Sender(database, clock, receiver.trusts)

    def last() -> Delivery:
        (told,) = database.call(webhooks.listing)
        assert told.tried is not None
        return told.tried

    assert await sender.send() == 1
    assert "private network" in last().problem
    assert receiver.got == []
    database.call(alarms.set_setting, "allow_private", 1)
    assert await sender.send() == 0
    for answer in (302, 500, 204):
        clock.now += 10**7
        receiver.answers.append(answer)
        assert await sender.send() == 1
        assert last().problem == {
            302: "HTTP 302, which is not followed", 500: "HTTP 500", 204: "",
        }[answer]  # fmt: skip
    assert last().state == "DONE"
    clock.now += 10**7
    assert await sender.send() == 0
    assert len(receiver.got) == 3  # no redirect was followed
    headers, body = receiver.got[-1]
    assert body == b'{"event": "test"}'
    seconds = int(headers["X-Story-Signature"].partition(",")[0].removeprefix("t="))
    signed = hmac.new(hook.secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256)
    assert headers["X-Story-Signature"] == f"t={seconds},v1={signed.hexdigest()}"
    assert sign(hook.secret, body, seconds) == headers["X-Story-Signature"]


@pytest.mark.one_database
async def test_a_receiver_whose_certificate_is_not_trusted_gets_nothing(
    database: Database, clock: FakeClock, receiver: Receiver
) -> None:
    hook = database.call(webhooks.add, receiver.url, 0)
    database.call(alarms.set_setting, "allow_private", 1)
    database.call(webhooks.test, hook.id, clock.now)
    async with asyncio.timeout(30):
        await Sender(database, clock).send()
    (told,) = database.call(webhooks.listing)
    assert told.tried is not None
    assert "its certificate is not trusted: " in told.tried.problem
    assert receiver.got == []


def test_a_fault_says_what_to_look_at() -> None:
    """A closed port, a name that is none, a server without TLS."""
    with socket.create_server(("127.0.0.1", 0)) as plain:
        port = plain.getsockname()[1]

        def talk() -> None:
            connection, _ = plain.accept()
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.close()

        threading.Thread(target=talk, daemon=True).start()
        assert "expected HTTPS" in (tried(f"https://127.0.0.1:{port}/") or "")
    assert "nothing listens there" in (tried(f"https://127.0.0.1:{port}/") or "")
    assert "the name is not known" in (tried("https://nobody.invalid/") or "")


def tried(url: str) -> str | None:
    context = ssl.create_default_context()
    return post(Due(1, 1, url, "secret", "{}"), 0, allow_private=True, context=context)


@pytest.mark.one_database
def test_what_is_switched_off_is_told_nothing(database: Database) -> None:
    hooks = [database.call(webhooks.add, f"https://example.org/{n}", 0) for n in "ab"]
    database.call(webhooks.test, hooks[0].id, 0)
    (due,) = database.call(webhooks.due, 0, 9)
    database.call(webhooks.switch, hooks[0].id, on=False)
    database.call(webhooks.note, due.id, "HTTP 500", 1, 0.0)  # it was on its way
    with pytest.raises(StagingError, match="it is off"):
        database.call(webhooks.test, hooks[0].id, 0)
    database.call(alarms.apply, [Seen(Kind.VERSION, "lamp 1.0")], 0)
    off, on = database.call(webhooks.listing)
    assert (off.waiting, off.newest[0].state, off.newest[0].problem) == (
        0, GIVEN_UP, webhooks.SWITCHED_OFF,
    )  # fmt: skip
    assert (on.waiting, on.hook.is_on) == (1, True)
    database.call(webhooks.switch, hooks[0].id, on=True)
    assert [each.hook_id for each in database.call(webhooks.due, 10**9, 9)] == [hooks[1].id]
    database.call(webhooks.test, hooks[0].id, 0)


def test_a_receiver_that_answers_byte_by_byte_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte would be within the deadline of a step, and the thread would be gone for ever."""
    monkeypatch.setattr(webhook_sender, "EXCHANGE_DEADLINE", 0.5)
    begun, left = threading.Event(), threading.Event()

    def drip(handler: http.server.BaseHTTPRequestHandler) -> None:
        begun.set()
        try:
            while not left.wait(0.01):
                handler.wfile.write(b"H")
                handler.wfile.flush()
        except OSError:
            left.set()

    receiver = Receiver(tmp_path, drip)
    problem = post(
        Due(1, 1, receiver.url, "secret", "{}"), 0, allow_private=True, context=receiver.trusts
    )
    assert problem == "no whole answer within 0.5 s"
    if begun.is_set():  # else the handshake alone took so long
        assert left.wait(60)
    receiver.server.shutdown()
    receiver.server.server_close()
