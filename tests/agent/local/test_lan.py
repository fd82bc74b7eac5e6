"""HTTPS on the home network: a real server, its certificate and token, and strangers."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from pathlib import Path

import httpx
import pytest

from agent.local.http import LocalServer, build_app
from agent.local.lan import lan_socket, load_identity, load_token
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
    with pytest.raises(LocalAccessError, match=r"local\.https_port 1 on 203\.0\.113\.1: Cannot"):
        lan_socket("203.0.113.1", 1)


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
        server.should_exit = True
        await task
