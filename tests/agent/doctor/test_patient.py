"""What the doctor reads of a machine: nothing that is broken keeps it from looking on."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path

import pytest

from agent.doctor import patient as module
from agent.doctor.files import check_agent
from agent.doctor.patient import look_at
from agent.local.client import AgentUnreachableError, LocalClient
from agent.settings import Settings
from tests.agent.parts import make_profile
from tests.authority import Authority
from wire.profile import render_profile


def test_faults_are_members(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text("[voice]\nquality = 11")
    (tmp_path / "profile.json").write_text("{}")
    found = look_at(tmp_path, tmp_path / "profile.json", tmp_path / "agent.toml", {})
    assert found.settings == Settings()
    assert "voice.quality: got 11" in (found.settings_fault or "")
    assert "profile: " in (found.profile_fault or "")
    assert (found.profile, found.status, found.says("link", "state")) == (None, None, None)


def test_a_profile_is_read_and_its_secrets_are_not_shown(tmp_path: Path) -> None:
    profile = make_profile(1, Authority().pem)
    (tmp_path / "profile.json").write_bytes(render_profile(profile))
    found = look_at(tmp_path, tmp_path / "profile.json", None, {"PASSWORD": "hunter2"})
    assert found.profile == profile
    assert not any(secret in repr(found) for secret in (*profile.secrets, "hunter2"))


@pytest.mark.parametrize(
    "body", [json.dumps({"link": {"state": "online"}}).encode(), b"[]", b"no JSON"]
)
def test_a_running_agent_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setattr(module, "STATUS_SECONDS", 20.0)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "agent.sock"))
        server.listen()

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
                connection.sendall(head.encode() + body)

        thread = threading.Thread(target=answer)
        thread.start()
        found = look_at(tmp_path, tmp_path / "profile.json", None, {})
        thread.join()
    assert found.says("link", "state") == ("online" if b"online" in body else None)
    assert found.hangs is (b"online" not in body)


def test_a_socket_that_never_answers_is_an_agent_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STATUS_SECONDS", 0.05)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "agent.sock"))
        server.listen()
        found = look_at(tmp_path, tmp_path / "profile.json", None, {})
    assert (found.status, found.hangs) == (None, True)
    # What a killed agent leaves behind is nobody.
    assert not look_at(tmp_path, tmp_path / "profile.json", None, {}).hangs
    (tmp_path / "agent.sock").unlink()
    assert not look_at(tmp_path, tmp_path / "profile.json", None, {}).hangs


def test_whoever_may_not_ask_the_agent_is_told_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AgentUnreachableError("no") from PermissionError(13, "Permission denied")

    monkeypatch.setattr(LocalClient, "request", refuse)
    found = look_at(tmp_path, tmp_path / "profile.json", None, {})
    assert (found.denied, found.hangs) == (True, False)
    assert "sudo" in str(check_agent(found).remedy)


def test_a_pipe_in_the_profiles_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "profile.json")
    assert "no regular file" in (
        look_at(tmp_path, tmp_path / "profile.json", None, {}).profile_fault or ""
    )
