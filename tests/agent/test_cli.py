"""The agent as a process against a real staging cloud: the output of its commands, and its shutdown."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.cli import main
from tests.conftest import write_tone
from tests.ports import free_port

BIN = Path(sys.executable).parent
START_TIMEOUT = 40.0
# The longest that a user may have to wait after Ctrl-C or systemctl stop.
END_SECONDS = 5.0
# Allows for asyncio's debug mode and a busy machine; a call that blocks by mistake blocks for seconds.
BLOCKING_SECONDS = 2.0
# Imported while idle, each would take memory that a small machine does not have.
HEAVY = (
    "tuf",
    "urllib3",
    "mpv",
    "dbus_fast",
    "cryptography",
    "numpy",
    "fastapi",
    "sqlalchemy",
    "uvicorn",
    "starlette",
    "email",
    "cbor2",
    "filelock",
    # Of the standard library's: a command line, archives, and tables for host names that are not ASCII.
    "argparse",
    "shutil",
    "tarfile",
    "encodings.idna",
)
# Of ours: what only other commands, or a machine with a fault, need.
NOT_OURS = {
    "agent.commands", "agent.parser", "agent.first.commands", "agent.first.import_note", "agent.guarded_point", "agent.lan_command",
    "agent.words.causes",
}  # fmt: skip


def wait_for(look: Callable[[], Any], timeout: float = START_TIMEOUT) -> Any:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.02)
    return pytest.fail("what was waited for did not come")


def run_cli(*words: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "story-agent", *words], capture_output=True, text=True, timeout=60, check=False, **more
    )  # fmt: skip


class Agent:
    """One device's files, and the process that uses them."""

    def __init__(self, folder: Path, profile: Path) -> None:
        self.state = folder / "state"
        self.profile = profile
        self.log = folder / "agent.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str | Path, environment: dict[str, str] | None = None) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [BIN / "story-agent", "run", "--profile", self.profile, "--state", self.state,
                 "--verbose", *more],
                stderr=log, stdout=log, env={**os.environ, "PYTHONASYNCIODEBUG": "1", **(environment or {})},
            )  # fmt: skip
        wait_for(lambda: self.status() or self.process is None or self.process.poll() is not None)

    def ask(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        return run_cli(*words, "--state", self.state)

    def status(self) -> dict[str, Any]:
        answer = self.ask("status", "--json")
        return {} if answer.returncode else dict(json.loads(answer.stdout))

    def wait_online(self) -> None:
        wait_for(lambda: self.status().get("link", {}).get("state") == "online")

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; return the exit code, within END_SECONDS."""
        assert self.process
        self.process.send_signal(number)
        code = self.process.wait(END_SECONDS)
        self.process = None
        return code

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Run a staging cloud on free ports; yields a function that runs its commands."""
    data = tmp_path_factory.mktemp("cloud")
    server = subprocess.Popen(
        [BIN / "story-cloud", "serve", "--data", data, "--api-port", "0", "--device-port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert server.stdout
    assert server.stdout.readline().startswith("ready ")

    def command(*words: str) -> str:
        return subprocess.run(
            [BIN / "story-cloud", *words, "--data", data], capture_output=True, text=True,
            timeout=60, check=True,
        ).stdout  # fmt: skip

    yield command
    server.terminate()
    server.wait(20)
    server.stdout.close()


@pytest.fixture(scope="module")
def device(cloud: Callable[..., str]) -> dict[str, str]:
    return dict(json.loads(cloud("device", "add", "--json")))


@pytest.fixture(scope="module")
def profile_text(cloud: Callable[..., str], device: dict[str, str]) -> str:
    return cloud("device", "profile", device["uuid"])


@pytest.fixture
def agent(tmp_path: Path, profile_text: str, device: dict[str, str]) -> Iterator[Agent]:
    profile = tmp_path / "profile.json"
    profile.write_text(profile_text)
    made = Agent(tmp_path, profile)
    yield made
    if made.process is not None:
        made.process.kill()
        made.process.wait()
    text = made.log_text() if made.log.exists() else ""
    assert "Traceback" not in text
    blocked = [float(taken) for taken in re.findall(r"Executing .* took ([0-9.]+) seconds", text)]
    assert max(blocked, default=0.0) < BLOCKING_SECONDS
    for secret in (device["token"], device["bindToken"]):
        assert secret not in text


def changed_profile(agent: Agent, **changes: Any) -> None:
    agent.profile.write_text(json.dumps(json.loads(agent.profile.read_text()) | changes))


def refusal(result: subprocess.CompletedProcess[str]) -> str:
    """Check that a command failed with one line on stderr, perhaps with what to do, and return the line."""
    assert result.returncode != 0
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if not line.startswith("    → ")]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("story-agent: ")
    return lines[0]


def test_a_day_of_an_agent(agent: Agent, device: dict[str, str], tmp_path: Path) -> None:
    agent.start()
    agent.wait_online()
    result = agent.ask("status")
    assert result.returncode == 0
    assert "link:\n  server: 127.0.0.1:" in result.stdout
    assert "  state: online\n" in result.stdout
    assert agent.ask("get", "volume").stdout.strip().isdigit()
    assert agent.ask("set", "volume", "9").stdout == ""
    assert agent.ask("get", "volume").stdout == "9\n"
    assert agent.ask("get", "switch").stdout == "false\n"
    sound = write_tone(tmp_path / "tone.wav", seconds=0.5)
    assert "segments, 0.5 s\n" in agent.ask("say", sound).stdout
    wait_for(lambda: agent.status()["outbox"]["waiting"] == 0)

    assert refusal(agent.ask("set", "volume", "17")).endswith(
        "volume: got 17, expected an integer from 0 to 16 in steps of 1"
    )
    assert refusal(agent.ask("set", "power", "1")).endswith("not allowed, only GET")
    assert "no such data point" in refusal(agent.ask("get", "音 量/../x?y"))
    assert "expected UTF-8 text" in refusal(agent.ask("set", "play", os.fsdecode(b"\xb9\xca")))
    assert "no such data point" in refusal(agent.ask("get", os.fsdecode(b"\xb9\xca")))
    assert "no.wav: No such file" in refusal(agent.ask("say", tmp_path / "no.wav"))
    assert f"{tmp_path}: Is a directory" in refusal(agent.ask("say", tmp_path))
    assert "not a WAV file" in refusal(agent.ask("say", agent.profile))

    assert agent.process
    agent.process.send_signal(signal.SIGHUP)  # ends nothing
    shown = json.dumps(agent.status())
    assert device["token"] not in shown
    assert device["bindToken"] not in shown
    assert agent.end() == 0
    assert not (agent.state / "agent.sock").exists()
    assert "no agent runs on" in refusal(agent.ask("status"))


def test_each_port_is_served_in_its_own_way(agent: Agent, tmp_path: Path) -> None:
    """HTTPS has TLS only, and whoever fills the port of HTTP keeps nobody from the socket."""
    http_port, https_port = free_port(), free_port()
    config = tmp_path / "agent.toml"
    config.write_text(
        f"[local]\nhttp_port = {http_port}\nhttps_port = {https_port}\nhttps_address = '127.0.0.1'\n"
    )
    # In its debug mode asyncio logs the traceback of each failed TLS.
    agent.start("--config", config, environment={"PYTHONASYNCIODEBUG": ""})
    with contextlib.ExitStack() as crowd:
        for _ in range(20):
            stalled = crowd.enter_context(socket.create_connection(("127.0.0.1", http_port)))
            stalled.sendall(b"PUT /volume HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
        assert agent.status()
        for _ in range(5):
            with crowd.enter_context(
                socket.create_connection(("127.0.0.1", https_port), 60)
            ) as plain:
                plain.sendall(b"GET /volume HTTP/1.1\r\nHost: localhost\r\n\r\n")
                with contextlib.suppress(ConnectionResetError):
                    assert b"HTTP/1.1" not in plain.recv(100)
        for _ in range(5):
            raw = crowd.enter_context(socket.create_connection(("127.0.0.1", https_port), 60))
            unpinned = ssl._create_unverified_context()
            with unpinned.wrap_socket(raw) as stranger:
                stranger.sendall(b"GET /volume HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert stranger.recv(100).startswith(b"HTTP/1.1 401")
    assert agent.end() == 0


def test_kill_9_and_again(agent: Agent) -> None:
    for _ in range(3):
        agent.start()
        assert agent.ask("set", "volume", "3").returncode == 0
        agent.end(signal.SIGKILL)
    agent.start()
    agent.wait_online()
    wait_for(lambda: agent.status()["outbox"]["waiting"] == 0)
    assert agent.end(signal.SIGINT) == 0


def test_a_second_agent_on_the_same_state_is_refused(agent: Agent) -> None:
    agent.start()
    second = run_cli("run", "--profile", agent.profile, "--state", agent.state)
    assert second.returncode == 1
    assert second.stderr.splitlines()[-1] == (
        f"story-agent: another agent runs on the state folder {agent.state}"
    )
    assert agent.status()["uuid"]
    assert agent.end() == 0


def test_without_its_cloud_the_agent_serves_the_machine(agent: Agent) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        changed_profile(agent, coapPort=closed.getsockname()[1])
        agent.start()
        wait_for(lambda: agent.status()["link"]["last_error"])
        status = agent.status()
        assert status["link"]["last_error"].startswith("cannot connect: ")
        assert agent.ask("set", "volume", "4").returncode == 0
        assert agent.ask("get", "volume").stdout == "4\n"
        assert agent.status()["outbox"]["waiting"] >= 3
        sound = write_tone(agent.profile.parent / "tone.wav", seconds=0.1)
        assert "the link to the cloud is down" in refusal(agent.ask("say", sound))
        assert agent.end() == 0


def test_a_frozen_cloud_does_not_hold_up_the_end(agent: Agent) -> None:
    """TCP connects, but no answer ever comes; SIGTERM arrives during the TLS handshake."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        changed_profile(agent, coapPort=silent.getsockname()[1])
        agent.start()
        assert agent.status()["link"]["state"] == "connecting"
        assert agent.end() == 0


DEAD_RESOLVER = """
import socket, sys, threading
real = socket.getaddrinfo
def hang(host, *rest, **more):
    if host in ("cloud.example", b"cloud.example"):
        threading.Event().wait()
    return real(host, *rest, **more)
socket.getaddrinfo = hang
from agent.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_dead_name_server_does_not_hold_up_the_end(agent: Agent) -> None:
    changed_profile(agent, serverAddr="cloud.example")
    with agent.log.open("ab") as log:
        agent.process = subprocess.Popen(
            [sys.executable, "-c", DEAD_RESOLVER, "run", "--profile", agent.profile,
             "--state", agent.state],
            stderr=log,
        )  # fmt: skip
    wait_for(lambda: agent.status().get("link", {}).get("state") == "connecting")
    assert agent.end() == 0


def test_a_request_that_is_never_finished_does_not_hold_up_the_end(agent: Agent) -> None:
    agent.start()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(agent.state / "agent.sock"))
        client.sendall(b"POST /voice HTTP/1.1\r\nHost: agent\r\nContent-Length: 1000\r\n\r\nRIFF")
        assert agent.ask("get", "volume").returncode == 0
        assert agent.end() == 0
        assert client.recv(4096).startswith(b"HTTP/1.1 503")


def begin_to_listen(agent: Agent, opened: Path) -> subprocess.Popen[str]:
    """Run the command, and return it when the microphone, which adds to ``opened``, is open.

    Without a question to the agent: on a busy machine some of them last as long as silence is waited for.
    """
    before = opened.stat().st_size if opened.exists() else 0
    listening = subprocess.Popen(
        [BIN / "story-agent", "listen", "--state", agent.state],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for(lambda: opened.exists() and opened.stat().st_size > before)
    return listening


def test_a_microphone_that_is_off_is_not_opened_and_one_that_listens_does_not_hold_up_the_end(
    agent: Agent, tmp_path: Path
) -> None:
    recorder = tmp_path / "bin" / "arecord"
    recorder.parent.mkdir()
    # Not exact zeros, which are a fault after 5 s: a busy machine needs longer for the commands.
    (tmp_path / "faint").write_bytes(b"\0\0\1\0" * 160)
    recorder.write_text(
        f"#!/bin/sh\necho $$ >>{tmp_path}/pids\nwhile cat {tmp_path}/faint; do sleep 0.02; done\n"
    )
    recorder.chmod(0o755)
    config = tmp_path / "agent.toml"
    config.write_text('[voice]\ncapture = "arecord"\nvad = "energy"\n')
    agent.start("--config", config, environment={"PATH": f"{recorder.parent}:{os.environ['PATH']}"})
    agent.wait_online()
    assert agent.ask("set", "microphone", "false").returncode == 0
    assert agent.status()["listening"] == {"state": "muted"}
    assert refusal(agent.ask("listen")) == "story-agent: listen: muted"
    assert not (tmp_path / "pids").exists()
    assert agent.ask("set", "microphone", "true").returncode == 0
    listening = begin_to_listen(agent, tmp_path / "pids")
    listening.send_signal(signal.SIGINT)  # closed is closed, whoever waits
    assert listening.communicate(timeout=60) == ("", "")
    assert agent.status()["listening"]["state"] == "idle"
    listening = begin_to_listen(agent, tmp_path / "pids")
    assert "is waiting already" in refusal(agent.ask("listen"))
    assert agent.end() == 0
    assert listening.communicate(timeout=60) == ("", "story-agent: listen: cancelled\n")
    for pid in (tmp_path / "pids").read_text("ascii").split():
        assert not Path(f"/proc/{pid}").exists()


def test_local_ports_are_served_on_loopback(agent: Agent, tmp_path: Path) -> None:
    port = free_port()
    config = tmp_path / "agent.toml"
    config.write_text(f"[local]\nhttp_port = {port}\ncoap_port = {port}\n")
    agent.start("--config", config)
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(b"GET /power HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        assert client.makefile("rb").readline().startswith(b"HTTP/1.1 200")
    (tmp_path / "other").mkdir()
    other = Agent(tmp_path / "other", agent.profile)
    other.start("--config", config)
    taken = other.status()["faults"]
    assert taken["local.http_port"] == f"local.http_port {port}: Address already in use"
    assert other.end() == 0
    assert agent.end() == 0


def test_a_machine_without_a_profile_waits_in_one_process_says_so_and_goes_on_by_itself(
    agent: Agent,
) -> None:
    good = agent.profile.read_text()
    agent.profile.unlink()
    agent.start()
    assert agent.process
    assert agent.status()["setup"]["waits_for"] == "profile"
    agent.profile.write_text(good.replace('"uuid"', '"name"'))
    wait_for(lambda: "uuid: missing, expected" in str(agent.status()))
    brought = agent.profile.with_name("brought.json")
    brought.write_text(good)
    agent.profile.chmod(0o644)
    done = agent.ask("provision", brought, "--yes", "--profile", agent.profile, "--lang", "en")
    assert "PASS" in done.stdout, done.stderr
    assert agent.process.poll() is None
    assert agent.profile.stat().st_mode & 0o777 == 0o400
    assert agent.end() == 0


def test_settings_and_state_that_cannot_be_used(agent: Agent, tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text("[voice]\nquality = 11\n")
    run = ("run", "--profile", agent.profile)
    result = run_cli(*run, "--state", agent.state, "--config", config)
    assert (result.returncode, refusal(result)) == (
        78,
        f"story-agent: settings {config}: voice.quality: got 11, expected an integer from 0 to 10",
    )
    result = run_cli(*run, "--state", agent.state, "--config", tmp_path / "none.toml")
    assert (result.returncode, "No such file" in refusal(result)) == (78, True)
    result = run_cli(*run, "--state", agent.profile)
    assert result.returncode == 78
    assert f"state folder {agent.profile}: Not a directory" in result.stderr.splitlines()[-1]


def test_wrong_usage_is_2_and_an_unknown_command_is_named() -> None:
    for words in ((), ("fly",), ("set", "volume"), ("get",)):
        result = run_cli(*words)
        assert result.returncode == 2
        assert "usage: story-agent" in result.stderr


def test_ctrl_c_at_a_command_that_waits_is_quiet(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "agent.sock"))
        deaf.listen()
        # Tests in the background inherit an ignored SIGINT from the shell, which a terminal does not set.
        asking = subprocess.Popen(
            ["env", "--default-signal=INT",
             BIN / "story-agent", "get", "volume", "--state", tmp_path],
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        connection, _ = deaf.accept()
        connection.recv(100)
        asking.send_signal(signal.SIGINT)
        _, error = asking.communicate(timeout=20)
        connection.close()
    assert (asking.returncode, error) == (130, "")


def test_output_that_nobody_reads_is_no_error(agent: Agent) -> None:
    agent.start()
    shown = subprocess.run(
        ["bash", "-c", f"{BIN}/story-agent status --state {agent.state} | true"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert shown.stderr == ""
    assert agent.end() == 0


def test_systemd_hears_ready_watchdog_state_and_stopping(agent: Agent, tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(START_TIMEOUT)
        agent.start(environment={"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "200000"})
        heard = [manager.recv(300) for _ in range(5)]
        assert heard[0] == b"READY=1"
        states = [each for each in heard if each.startswith(b"STATUS=")]
        assert states[0].startswith((b"STATUS=offline", b"STATUS=online"))
        assert [each for each in heard[1:] if each not in states] == [b"WATCHDOG=1"] * (
            4 - len(states)
        )
        assert agent.end() == 0
        manager.setblocking(False)
        rest: list[bytes] = []
        while not rest or rest[-1] != b"STOPPING=1":
            rest.append(manager.recv(300))
        others = {each for each in rest if not each.startswith(b"STATUS=")}
        assert others <= {b"WATCHDOG=1", b"STOPPING=1"}


def test_an_idle_agent_imports_nothing_heavy() -> None:
    script = (
        "import agent.app, agent.cli, agent.daemon, sys; from agent.run_words import read_run; "
        "assert read_run(['run', '--verbose', '--state=/x'], {}); print(*sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    ).stdout.split()
    assert "agent.app" in loaded
    assert ({name.partition(".")[0] for name in loaded} | set(loaded)) & set(HEAVY) == set()
    assert set(loaded) & NOT_OURS == set()


def test_a_file_name_of_an_old_card_is_played_and_reported(agent: Agent) -> None:
    """GBK names, as on USB sticks from old PCs: not UTF-8, but playable."""
    tone = write_tone(agent.profile.parent / "tone.wav", seconds=60)
    media = agent.state / "media"
    media.mkdir(parents=True)
    shutil.copy(tone, os.fsdecode(os.fsencode(media) + b"/\xb9\xca\xca\xc2 story.wav"))
    agent.start()
    assert agent.ask("set", "play", "story").returncode == 0
    title = agent.ask("get", "play").stdout.strip()
    assert title.endswith(" story")
    assert "\N{REPLACEMENT CHARACTER}" in title
    agent.wait_online()
    wait_for(lambda: agent.status()["outbox"]["waiting"] == 0)
    assert agent.end() == 0


@pytest.mark.parametrize(
    ("words", "config"),
    [([], "/etc/story-agent/agent.toml"), (["--config", "/other/agent.toml"], "/other/agent.toml")],
)
def test_a_release_is_held_to_the_root_beside_the_settings(
    words: list[str], config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Path] = []

    def enter(_state: Path, _argv: object, settings: Path) -> None:
        given.append(settings)
        raise SystemExit

    monkeypatch.setattr("agent.cli.enter_active_release", enter)
    with pytest.raises(SystemExit):
        main(["run", *words])
    assert given == [Path(config)]
