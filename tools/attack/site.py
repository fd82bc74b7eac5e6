"""What the attacks are made on: a cloud, its accounts and apps, a device, an agent; and what an attacker uses."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from staging.client import OpenApiClient
from tools.bench import Bench
from tools.processes import Service, command

PASSWORD = "a long enough password"  # noqa: S105  # of accounts that live for a minute
TIMEOUT = 30.0
MEGABYTE = 2**20
# Where the operator's proxies are.
PROXIES = ("127.0.7.0/29", "fd00:7::/64")
# A line of the cloud's log as `staging.logs` writes it, and of a traceback below one.
LOG_LINE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (DEBUG|INFO|WARNING|ERROR|CRITICAL) [\w.]+: .*|    \| .*|ready api=.*"
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attack ended: whether what it is on held, and in words what was seen."""

    held: bool
    seen: str


@dataclass(frozen=True, slots=True)
class Attack:
    """One row: what the attacker wants, and how it is tried."""

    name: str
    wants: str
    run: Callable[[Site], Outcome]


class Site:
    """One cloud with two families, and an agent; with workers the API is the first one's, and the agent is behind the broker."""

    def __init__(self, folder: Path, workers: int = 0) -> None:
        """Use ``folder``, which must exist; `start` starts the processes. ``workers`` need a PostgreSQL."""
        self.bench = Bench(folder)
        self.bench.cloud_words = [word for each in PROXIES for word in ("--trusted-proxy", each)]
        self.folder = folder
        self.clients: dict[str, OpenApiClient] = {}
        self.workers: list[Service] = []
        self.urls: list[str] = [""] * workers
        """The addresses of the workers' APIs."""
        self._numbers = 0

    def start(self) -> None:
        """Start the cloud and the agent, and add the first family's app and account."""
        self._start_cloud(0, 0)
        self.bench.flash_device()
        self.bench.start_agent()
        self.clients["parent"] = self.bench.client()

    def _start_cloud(self, api: int, device: int) -> None:
        """Start the server, and its workers on their ports of before."""
        self.bench.start_cloud(api, device, mqtt=bool(self.urls))
        for number, url in enumerate(self.urls):
            words: list[str | Path] = ["worker", "--name", f"w{number}"]
            words += ["--data", self.bench.cloud_data, *self.bench.cloud_words]
            worker = Service(
                "story-cloud", [*words, "--api-port", url.rpartition(":")[2] or "0"],
                self.folder / f"worker-{number}.log",
            )  # fmt: skip
            self.workers.append(worker)
            self.urls[number] = worker.wait_for_line(r"ready api=(\S+)")[1]
        if self.urls:
            self.bench.api = self.urls[0]

    def stop(self) -> None:
        """End everything."""
        for client in self.clients.values():
            client.close()
        for worker in self.workers:
            worker.stop()
        self.bench.stop()

    # What the operator does.

    def number(self) -> int:
        """Return a number that was not used yet."""
        self._numbers += 1
        return self._numbers

    def account(self, *words: str) -> str:
        """Add an account with `PASSWORD`, a tester's unless ``words`` say otherwise; return its name."""
        name = f"family-{self.number()}"
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        role = words or ("--role", "tester")
        self.bench.story_cloud("account", "add", name, "--password-file", secret, *role)
        return name

    @property
    def api(self) -> Service:
        """The process that serves the API."""
        return self.workers[0] if self.workers else self.cloud

    @property
    def cloud(self) -> Service:
        """The cloud's process that has the port for devices."""
        if self.bench.cloud is None:
            raise RuntimeError("the cloud is not started")
        return self.bench.cloud

    @property
    def agent(self) -> Service:
        """The agent's process."""
        if self.bench.agent is None:
            raise RuntimeError("the agent is not started")
        return self.bench.agent

    def again(self) -> None:
        """Kill the cloud as a power cut does, and start it on the same ports."""
        api, device = 0 if self.workers else self.api_port, self.device_port
        killed = [*self.workers, self.cloud]
        for each in killed:
            each.kill()
        for each in killed:
            # The next one's line that it is ready is looked for in its own log.
            each.log.rename(self.folder / f"cloud-{self.number():03}.log")
        self.workers.clear()
        self._start_cloud(api, device)

    def log(self) -> str:
        """Return what the cloud has logged, also before it was killed."""
        now = [self.cloud.log, *(worker.log for worker in self.workers)]
        logs = [*sorted(self.folder.glob("cloud-*.log")), *now]
        return "".join(log.read_text("utf-8", "replace") for log in logs)

    @property
    def api_port(self) -> int:
        """The API's port."""
        return int(self.bench.api.rpartition(":")[2])

    @property
    def device_port(self) -> int:
        """The port for devices."""
        return int(self.bench.device_address.rpartition(":")[2])

    # What an attacker has.

    def browser(self, address: str = "127.0.0.1", **headers: str) -> httpx.Client:
        """Return a client whose connections come from a loopback address."""
        transport = httpx.HTTPTransport(local_address=address)
        return httpx.Client(
            base_url=self.bench.api, transport=transport, headers=headers, timeout=TIMEOUT
        )

    def try_console(self, user: str, password: str, client: httpx.Client) -> int:
        """Try to log in at the console; return the status."""
        csrf = client.get("/console/api/session").json()["csrf"]
        body = {"user": user, "password": password}
        answer = client.post("/console/api/session", json=body, headers={"X-CSRF-Token": csrf})
        return answer.status_code

    def try_consent(self, user: str, password: str, client: httpx.Client) -> int:
        """Try to log in at the consent page; return the status, 302 for a right password."""
        app = self.bench.app
        asked = {
            "client_id": app["appId"], "response_type": "token", "redirect_uri": app["redirectUris"][0],
            "scope": "", "state": "s",
        }  # fmt: skip
        page = client.get("/v1/account/authorize", params=asked)
        found = re.search(r'name="csrf" value="([^"]+)"', page.text)
        form = {
            "csrf": found.group(1) if found else "", "answer": "allow", "user": user,
            "password": password,
        }  # fmt: skip
        return client.post("/v1/account/authorize", params=asked, data=form).status_code

    def enter(self, user: str, address: str = "127.0.0.1") -> httpx.Client:
        """Return a client that is logged in at the console."""
        client = self.browser(address)
        csrf = client.get("/console/api/session").json()["csrf"]
        body = {"user": user, "password": PASSWORD}
        answer = client.post("/console/api/session", json=body, headers={"X-CSRF-Token": csrf})
        answer.raise_for_status()
        client.headers["X-CSRF-Token"] = answer.json()["csrf"]
        return client

    def device_context(self) -> ssl.SSLContext:
        """Return a context that trusts the cloud's CA, as every flashed card does."""
        return ssl.create_default_context(cafile=self.bench.cloud_data / "ca" / "ca.crt")

    def code(self) -> str:
        """Return the bind token that the machine shows."""
        words = ("--json", "--profile", self.bench.profile_path, "--state", self.bench.state)
        return str(json.loads(command("story-agent", "pair", *words))["token"])

    def profile(self) -> dict[str, Any]:
        """Return what is on the agent's card."""
        return dict(json.loads(self.bench.profile_path.read_text()))


def resident(pid: int) -> int:
    """Return a process's memory (RSS) in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def open_silent(count: int, address: tuple[str, int] | str) -> list[socket.socket]:
    """Connect so many times and send nothing; those that are refused are left out."""
    opened = []
    for _ in range(count):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(2)
        try:
            sock.connect(address)
        except OSError:
            sock.close()
            continue
        opened.append(sock)
    return opened


def allow_files(count: int) -> None:
    """Let this process have so many open files, as far as the system does."""
    import resource  # noqa: PLC0415  # Linux alone

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))


def odd_lines(log: str) -> list[str]:
    """Return the lines of a log that no part of the cloud wrote."""
    return [line for line in log.splitlines() if line and not LOG_LINE.fullmatch(line)]


def environment(**more: str) -> dict[str, str]:
    """Return this process's environment with more variables."""
    return {**os.environ, **more}
