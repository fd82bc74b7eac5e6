"""Each command's requests and what it prints, against a local API that follows a script."""

from __future__ import annotations

import json
import os
import socketserver
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from agent.cli import main
from agent.exits import EX_FAILED, EX_OK
from agent.local import SOCKET_NAME

RUNNING = {"transaction": "77", "state": "RUNNING", "failure": None}


class Script(socketserver.ThreadingUnixStreamServer):
    """Answers by a table of "METHOD target" and notes what it was asked."""

    def __init__(self, path: str) -> None:
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: list[tuple[str, bytes]] = []
        super().__init__(path, Answering)

    def has(self, request: str, body: object, status: int = 200) -> None:
        self.answers[request] = (
            status,
            body if isinstance(body, bytes) else json.dumps(body).encode(),
        )


class Answering(BaseHTTPRequestHandler):
    server: Script

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline()
        if not self.parse_request():
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = f"{self.command} {self.path}"
        self.server.asked.append((request, body))
        status, text = self.server.answers[request]
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Stay silent: the tests read stderr."""


@pytest.fixture
def script() -> Iterator[Script]:
    with tempfile.TemporaryDirectory() as folder, Script(f"{folder}/{SOCKET_NAME}") as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(script: Script, *words: str) -> int:
    return main([*words, "--state", str(Path(str(script.server_address)).parent)])


def test_get_and_set_quote_the_name_and_print_the_value(
    script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    script.has("GET /volume", b"7")
    script.has("PUT /a%2Fb", b"")
    assert run(script, "get", "volume") == EX_OK
    assert run(script, "set", "a/b", "9") == EX_OK
    assert script.asked == [("GET /volume", b""), ("PUT /a%2Fb", b"9")]
    assert capsys.readouterr() == ("7\n", "")


def test_status_is_lines_without_nulls_or_one_object(
    script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    status = {"version": "1.0", "link": {"state": "online", "last_error": None}}
    script.has("GET /status", status)
    assert run(script, "status") == EX_OK
    told = capsys.readouterr().out.splitlines()
    assert told[1:] == ["version: 1.0", "link:", "  state: online"]
    assert run(script, "status", "--json") == EX_OK
    assert json.loads(capsys.readouterr().out) == status


@pytest.mark.parametrize(("cut", "end"), [(False, ""), (True, ", cut at the limit")])
def test_say_sends_the_file(
    script: Script, tmp_path: Path, capsys: pytest.CaptureFixture[str], *, cut: bool, end: str
) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    script.has("POST /voice", {"id": 5, "segments": 2, "seconds": 0.5, "cut": cut})
    assert run(script, "say", str(tmp_path / "a.wav")) == EX_OK
    assert script.asked == [("POST /voice", b"RIFF")]
    assert capsys.readouterr().out == f"utterance 5: 2 segments, 0.5 s{end}\n"


@pytest.mark.parametrize("file", ["/dev/zero", "folder", "pipe", "none.wav"])
def test_say_waits_for_nothing_that_is_no_recording(
    script: Script, tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")  # nobody writes into it
    script.has("POST /voice", b"not a WAV file: it is cut short", 400)
    assert run(script, "say", str(tmp_path / file)) == EX_FAILED
    said = capsys.readouterr().err
    assert said.startswith("story-agent: ")
    assert file in said or "cut short" in said


@pytest.mark.parametrize(("name", "path"), [("", "/"), ("page", "/page")])
def test_the_device_pages_address_is_no_data_point(
    script: Script, capsys: pytest.CaptureFixture[str], name: str, path: str
) -> None:
    script.has(f"GET {path}", b"", 307)
    assert run(script, "get", name) == EX_FAILED
    assert capsys.readouterr().err == f'story-agent: "{name}": no such data point\n'


def test_update_shows_the_last_update(script: Script, capsys: pytest.CaptureFixture[str]) -> None:
    script.has("GET /status", {"update": RUNNING})
    assert run(script, "update") == EX_OK
    assert capsys.readouterr().out == "transaction: 77\nstate: RUNNING\n"
    assert run(script, "update", "show", "--json") == EX_OK
    assert json.loads(capsys.readouterr().out) == RUNNING


def test_update_cancel_names_the_transaction(
    script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    script.has("GET /status", {"update": RUNNING})
    script.has("DELETE /newfirmware?transaction=77", b"update 77 is cancelled")
    assert run(script, "update", "cancel") == EX_OK
    assert run(script, "update", "cancel", "--json") == EX_OK
    printed = capsys.readouterr().out.splitlines()
    assert printed == ["update 77 is cancelled", '{"answer": "update 77 is cancelled"}']


@pytest.mark.parametrize(
    ("update", "why"),
    [
        ({"transaction": None, "state": None}, "no update was ever ordered"),
        ({"transaction": "7", "state": "FAILED"}, 'no update is under way: "7" is FAILED'),
    ],
)
def test_there_is_nothing_to_cancel(
    script: Script, capsys: pytest.CaptureFixture[str], update: dict[str, object], why: str
) -> None:
    script.has("GET /status", {"update": update})
    assert run(script, "update", "cancel") == EX_FAILED
    assert capsys.readouterr() == ("", f"story-agent: {why}\n")
    assert len(script.asked) == 1


def test_a_refusal_a_missing_file_and_a_missing_agent_are_one_line_each(
    script: Script, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script.has("PUT /volume", b"volume: got 17\n", 400)
    assert run(script, "set", "volume", "17") == EX_FAILED
    assert capsys.readouterr() == ("", "story-agent: volume: got 17\n")
    assert run(script, "say", str(tmp_path / "none.wav")) == EX_FAILED
    assert (
        capsys.readouterr().err == f"story-agent: {tmp_path}/none.wav: No such file or directory\n"
    )
    assert main(["get", "volume", "--state", str(tmp_path)]) == EX_FAILED
    assert capsys.readouterr().err.startswith(
        f"story-agent: no agent runs on {tmp_path}/agent.sock"
    )


def test_registering_the_commands_loads_no_client() -> None:
    """A mistyped ``story-agent run`` registers them too, before it enters the active release."""
    code = "import agent.cli, sys; from agent.parser import build_parser; build_parser(print); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=Path(__file__).parents[2], capture_output=True,
        text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert "agent.commands" in loaded
    ours = {name for name in loaded if name.partition(".")[0] in {"agent", "ota", "wire", "base"}}
    assert ours == {
        "agent", "agent.bench_command", "agent.cli", "agent.commands", "agent.exits", "agent.first", "agent.first.commands",
        "agent.inspection", "agent.lan_command", "agent.last_words", "agent.parser", "agent.restarting",
        "agent.run_words",
        "agent.words", "agent.words.numbers", "agent.words.usage", "base", "base.arguments", "base.files", "base.locales", "base.printing", "ota", "ota.launch", "ota.launch.boot", "ota.launch.launch",
        "agent.voice_command", "ota.launch.starts",
    }  # fmt: skip
    assert not set(loaded) & {"asyncio", "http.client", "logging", "socket", "ssl"}


HEARD: dict[str, Any] = {
    "end": "sent",
    "reason": None,
    "id": 10001,
    "segments": 8,
    "answered": True,
    "seconds": {},
}


@pytest.mark.parametrize(
    ("answer", "code", "text"),
    [
        (HEARD, EX_OK, "utterance 10001: 8 segments, answered\n"),
        (HEARD | {"answered": False}, EX_OK, "utterance 10001: 8 segments, not answered\n"),
        (
            HEARD | {"answer": "not_found"},
            EX_OK,
            "utterance 10001: 8 segments, answered: not found\n",
        ),
        (HEARD | {"end": "nothing"}, EX_FAILED, "story-agent: listen: nothing\n"),
        (
            HEARD | {"end": "fault", "reason": "microphone: parec: gave nothing for 3 s"},
            EX_FAILED, "story-agent: listen: fault: microphone: parec: gave nothing for 3 s\n",
        ),
        ({"cancelled": True}, EX_OK, "cancelled\n"),
        ({"cancelled": False}, EX_OK, "the machine did not listen\n"),
        ({"released": True}, EX_OK, "released\n"),
        ({"released": False}, EX_OK, "nothing was held\n"),
    ],
)  # fmt: skip
def test_listen_tells_how_it_ended(
    script: Script, capsys: pytest.CaptureFixture[str], answer: object, code: int, text: str
) -> None:
    script.has("POST /listen", answer)
    assert run(script, "listen") == code
    captured = capsys.readouterr()
    assert captured.out + captured.err == text
    assert script.asked == [("POST /listen", b"start")]
