"""A staging cloud, a device, an app and an agent on loopback, for the tour and the benchmarks."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agent.local import SOCKET_NAME
from agent.local.client import AgentUnreachableError, LocalClient
from staging.client import OpenApiClient
from tools.bench_machine import BenchMachine
from tools.processes import BenchError, Service, choose_port, command, free_port, supervise

REGISTER_TIMEOUT = 30.0
# What the agent logs then.
REGISTERED = b"link: registered with"
# Seconds between two looks at whether a machine is on line.
ONLINE_POLL_SECONDS = 0.1
# Who binds the device by the app, and sees it on the console; and who makes products and publishes versions.
USER, OPERATOR = "tester", "operator"
# Slow enough to watch the steps of an update: the package has a few hundred kilobytes.
OTA_BYTES_PER_SECOND = 40 * 1024
AGENT_CONFIG = f"""\
# The bench's settings; the README lists all of them.
[ota]
max_bytes_per_second = {OTA_BYTES_PER_SECOND}
# The console's button may open the microphone; what is added below belongs to this table.
[voice]
remote_listen = true
"""


class Bench:
    """A cloud, a device and an agent with all their files below one folder.

    `stop` ends the processes.
    """

    def __init__(self, folder: Path, *, supervised: bool = False, breakable: bool = False) -> None:
        """Use ``folder``, which must exist; no process is started yet.

        ``supervised``: the agent is started again when it ends, as by systemd. ``breakable``: it has a disk, a clock and
        a sound server of its own, for the fault bench.
        """
        self.folder = folder
        self._start = supervise if supervised else Service
        self.cloud_data = folder / "cloud"
        self.state = folder / "agent"
        self.profile_path = folder / "profile.json"
        self.machine = BenchMachine(folder, self.state) if breakable else None
        self.cloud: Service | None = None
        self.agent: Service | None = None
        self.api = ""
        self.device_address = ""
        self.device: dict[str, str] = {}
        self.app: dict[str, str] = {}
        self.token = ""
        self.recognises = False
        """Whether the cloud recognises what is said."""
        self.agent_words: list[str | Path] = ["story-agent"]
        """The program that is the agent, and its first arguments."""
        self.cloud_words: list[str] = []
        """What every start of the cloud is told too."""
        self.mqtt_port = 0
        """The broker's port, the same at each start; 0: there was none yet."""

    def start_cloud(
        self,
        api_port: int,
        device_port: int,
        *,
        recognise: bool = False,
        mqtt: bool = False,
        faults: bool = False,
    ) -> None:
        """Start the cloud on these ports, or on others if they are taken; ``recognise`` needs the extra [asr].

        With ``mqtt`` it has a broker, and the profiles that it makes tell devices to use it; with ``faults`` a bench.
        """
        self.recognises = recognise
        if mqtt:
            self.mqtt_port = self.mqtt_port or free_port()
        self.cloud = Service(
            "story-cloud",
            ["serve", "--data", self.cloud_data,
             "--api-port", str(choose_port(api_port, "API_PORT") if api_port else 0),
             "--device-port", str(choose_port(device_port, "DEVICE_PORT") if device_port else 0),
             *(["--recognise"] if recognise else []),
             *(["--mqtt-port", str(self.mqtt_port)] if mqtt else []),
             *(["--bench-faults"] if faults else []), *self.cloud_words],
            self.folder / "cloud.log",
        )  # fmt: skip
        ready = self.cloud.wait_for_line(r"ready api=(\S+) device=(\S+)")
        self.api, self.device_address = ready.groups()

    def story_cloud(self, *words: str | Path) -> dict[str, Any]:
        """Run a story-cloud command with ``--json`` and return its object."""
        answer = json.loads(command("story-cloud", *words, "--data", self.cloud_data, "--json"))
        return dict(answer)

    def flash_device(self) -> None:
        """Add a device to the cloud and write the files that the factory flashes."""
        self.device = self.story_cloud("device", "add")
        profile = self.story_cloud("device", "profile", self.device["uuid"])
        self.profile_path.write_text(json.dumps(profile))
        self.profile_path.chmod(0o600)
        self.state.mkdir(mode=0o750)
        if self.machine is not None:
            self.machine.begin()
        root = self.cloud_data / "tuf" / "metadata" / "1.root.json"
        (self.state / "root.json").write_bytes(root.read_bytes())
        (self.folder / "agent.toml").write_text(AGENT_CONFIG)

    def start_agent(
        self, environment: Mapping[str, str] | None = None, *, is_asked: bool = True
    ) -> float:
        """Start the agent, with these variables too; return the seconds until it was registered.

        ``is_asked``: whether it is asked for that by its local API, which it loads then; else its log tells.
        """
        started = time.monotonic()
        log = self.folder / "agent.log"
        before = log.stat().st_size if log.exists() else 0
        own = {} if self.machine is None else self.machine.variables
        program, *first = self.agent_words
        self.agent = self._start(
            str(program),
            [*first, "run", "--profile", self.profile_path, "--state", self.state,
             "--config", self.folder / "agent.toml"],
            log,
            own | dict(environment or {}),
        )  # fmt: skip

        def is_registered() -> bool:
            if is_asked:
                return bool(self.agent_status().get("link", {}).get("state") == "online")
            return REGISTERED in log.read_bytes()[before:]

        self.agent.wait_for("registration", lambda: is_registered() or None, REGISTER_TIMEOUT)
        return time.monotonic() - started

    def start_helper(self) -> None:
        """Start the machine's helper, and tell the cloud where it listens."""
        if self.machine is not None:
            token = self.folder / "bench-token"
            address = f"127.0.0.1:{self.machine.start_helper(token)}"
            self.story_cloud("fault", "helper", self.device["uuid"], address, "--token-file", token)

    def agent_again(self, environment: Mapping[str, str] | None = None, voice: str = "") -> None:
        """Start the agent anew, with these variables and these lines of its settings' table ``voice``."""
        if self.agent is not None:
            self.agent.stop()
        (self.folder / "agent.toml").write_text(AGENT_CONFIG + voice)
        self.start_agent(environment)

    def local(self) -> LocalClient:
        """Return a client of the agent's own socket."""
        return LocalClient(self.state / SOCKET_NAME)

    def agent_status(self) -> dict[str, Any]:
        """Return the agent's status, or {} while it does not answer."""
        try:
            answer = self.local().request("GET", "/status")
        except AgentUnreachableError:
            return {}
        return dict(json.loads(answer.body))

    def client(self) -> OpenApiClient:
        """Add an app and a tester, and return an open API client with that app's credentials."""
        self.app = self.story_cloud("app", "add", "tour", "--type", "web")
        words = ("token", "--app", str(self.app["appId"]), "--user", USER)
        self.token = str(self.story_cloud(*words)["access_token"])
        return OpenApiClient(self.api, self.app["apikey"], self.app["secret"], self.token)

    def password(self, name: str) -> str:
        """Give an account its role and a password for the console, and return the password."""
        added = self.story_cloud("account", "add", name, "--role", name)
        return str(added["password"])

    def stop(self) -> None:
        """End the agent, then the cloud."""
        for service in (self.agent, self.cloud):
            if service is not None:
                service.stop()
        if self.machine is not None:
            self.machine.stop()


def wait_online(is_online: Callable[[], bool], *, wanted: bool, seconds: float) -> float:
    """Wait until a machine is on line, or off it; return the seconds that it took.

    Raises:
        BenchError: it is not so within ``seconds``.
    """
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        if is_online() is wanted:
            return time.monotonic() - started
        time.sleep(ONLINE_POLL_SECONDS)
    raise BenchError(f"the machine is not {'on' if wanted else 'off'} line within {seconds:g} s")
