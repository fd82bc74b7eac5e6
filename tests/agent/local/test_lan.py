"""HTTPS on the home network: a real server, its certificate and token, and strangers."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
import ssl
from pathlib import Path

import httpx
import pytest

from agent.local import lan
from agent.local.http import build_app
from agent.local.lan import lan_socket, load_identity, load_token
from agent.local.server import LocalServer
from agent.local.sockets import LocalAccessError
from agent.settings import VoiceSettings
from agent.voice.sender import VoiceSender
from tests.agent.local.rig import Bench, cancel, no_status
from tests.agent.memory_link import MemoryLink


def test_token_and_certificate_are_made_once_and_for_the_agent_alone(tmp_path: Path) -> None:
    token, identity = load_token(tmp_path), load_identity(tmp_path)
    assert (load_token(tmp_path), load_identity(tmp_path)) == (token, identity)
    assert len(token) >= 32
    for secret in (tmp_path / "local-token", identity.key):
        assert secret.stat().st_mode & 0o077 == 0
    der = ssl.PEM_cert_to_DER_cert(identity.certificate.read_text())
    assert identity.fingerprint == hashlib.sha256(der).hexdigest()


def test_what_cannot_be_written_or_bound_is_named(tmp_path: Path) -> None:
    (tmp_path / "local-token").mkdir()
    with pytest.raises(LocalAccessError, match=r"local-token: Is a directory"):
        load_token(tmp_path)
    with pytest.raises(LocalAccessError, match=r"state/local-cert\.pem: No such file"):
        load_identity(tmp_path / "state")
    with lan_socket("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            LocalAccessError, match=rf"local\.https_port {port} on 127\.0\.0\.1: Addr"
        ):
            lan_socket("127.0.0.1", port)


@pytest.mark.parametrize("address", ["203.0.113.1", "2001:db8::1"])
def test_an_address_that_comes_with_the_wifi_is_bound_before(address: str) -> None:
    lan_socket(address, 0).close()


def test_a_pair_that_a_power_cut_tore_is_made_anew_and_that_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = load_identity(tmp_path)
    assert not caplog.records
    key = first.key.read_bytes()
    for file, damaged in ((first.key, b""), (first.key, key), (first.certificate, b"x")):
        before = load_identity(tmp_path)
        file.write_bytes(damaged)
        caplog.clear()
        after = load_identity(tmp_path)
        assert after.fingerprint != before.fingerprint
        assert "local-cert.pem: " in caplog.text
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(after.certificate, after.key)


def test_whoever_only_connects_takes_few_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lan, "CROWD_LIMIT", 3)
    with lan_socket("127.0.0.1", 0) as listener:
        listener.listen()
        crowd, accepted = [], []
        for _ in range(5):
            crowd.append(socket.create_connection(listener.getsockname(), timeout=5))
            accepted.append(listener.accept()[0])
        assert [each.recv(1) for each in accepted[:2]] == [b"", b""]
        crowd[4].send(b"x")
        assert accepted[4].recv(1) == b"x"
        for each in (*crowd, *accepted):
            each.close()


def test_of_those_who_only_connect_the_newest_forty_eight_stay() -> None:
    """The agent has descriptors left for its card, its cloud and its player."""
    with lan_socket("127.0.0.1", 0) as listener, contextlib.ExitStack() as opened:
        listener.listen(64)

        def come() -> socket.socket:
            opened.enter_context(socket.create_connection(listener.getsockname(), timeout=5))
            return opened.enter_context(listener.accept()[0])

        first, *_ = [come() for _ in range(48)]
        first.setblocking(False)
        with pytest.raises(BlockingIOError):
            first.recv(1)
        come()
        assert first.recv(1) == b""


async def test_a_stranger_reads_and_sets_nothing_and_the_owner_pins_the_certificate(
    tmp_path: Path,
) -> None:
    token, identity = load_token(tmp_path), load_identity(tmp_path)
    bench = Bench()
    voice = VoiceSender(MemoryLink(is_up=False), VoiceSettings())
    app = build_app(bench.dispatch, voice, no_status, cancel, token=token)
    with lan_socket("127.0.0.1", 0) as listener:
        server = LocalServer(app, (identity.certificate, identity.key))
        task = asyncio.create_task(server.serve([listener]))
        base = f"https://localhost:{listener.getsockname()[1]}"
        pinned = ssl.create_default_context(cafile=str(identity.certificate))
        async with httpx.AsyncClient(base_url=base, verify=pinned) as client:
            for method, path in (("GET", "/even"), ("PUT", "/even"), ("POST", "/voice"), ("GET", "/status")):  # fmt: skip
                answer = await client.request(method, path, content=b"2")
                assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
            assert bench.dispatch.points["even"].value == 0  # type: ignore[attr-defined]
            owner = {"Authorization": f"Bearer {token}"}
            assert (await client.put("/even", content=b"2", headers=owner)).status_code == 200
            assert (await client.get("/even", headers=owner)).text == "2"
        server.stop()
        await task
