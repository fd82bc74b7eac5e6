"""A staging cloud and one machine of the card image's twin, for the proof of the image (`tests.vm.image_proof`)."""

from __future__ import annotations

import base64
import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx

from staging.client import OpenApiClient, OpenApiError
from tests.vm.card import Card
from tools.bench import Bench
from tools.image.board import Board
from tools.processes import Service, command
from wire.ota import OtaEvent

OLD, NEW = "1.0.0", "1.1.0"
CARD_MIB = 4096
# On two cores that others use as well.
BOOT_SECONDS, STEP_SECONDS, UPDATE_SECONDS = 900.0, 420.0, 2400.0
POLL_SECONDS = 0.5
REGISTERED = "link: registered with"
# QEMU's user network maps the host's loopback to this.
HOST = "10.0.2.2"
WIFI = "name=故事屋\npassword=long-enough-9\ncountry=CN\n"
MEDIA = "/var/lib/story-agent/media"
# Ten seconds of a tone, made on the machine.
TONE = (
    "python3 -c \"import math,struct,wave; w=wave.open('" + MEDIA + "/tone.wav','wb'); w.setnchannels(1); w.setsampwidth(2);"
    " w.setframerate(16000); w.writeframes(b''.join(struct.pack('<h', int(9000*math.sin(i/6))) for i in range(160000)))\""
)  # fmt: skip
T = TypeVar("T")


class ProofError(Exception):
    """A step did not do what it should; the message says what was found."""


class Proof:
    """A cloud and one machine."""

    def __init__(self, folder: Path, images: Path, board: Board, *, goes_on: bool = False) -> None:
        """Flash a card with the old version's image of a board, in ``folder``; and start the cloud.

        With ``goes_on`` the card and the cloud of the run before are taken as they are: a step costs minutes.
        """
        self.images = images
        self.board = board
        self.bench = Bench(folder)
        known = folder / "device.json"
        if goes_on:
            self.uuid, port = json.loads(known.read_text())
            self.client, _ = self._open(port)
            self.card = Card(folder / "machine", board)
            return
        self.client, port = self._open("0")
        device = self.bench.story_cloud("device", "add")
        self.uuid = str(device["uuid"])
        profile = json.loads(command("story-cloud", "device", "profile", self.uuid, "--data", self.bench.cloud_data))  # fmt: skip
        self.client.bind(self.uuid, profile["bindToken"])
        known.write_text(json.dumps([self.uuid, port]))
        self.card = Card(folder / "machine", board)
        self.card.flash(images / f"story-{board.name}-{OLD}.img", CARD_MIB)
        self.card.put("story-agent.profile", json.dumps(profile).encode())
        self.card.put("WIFI.TXT", WIFI.encode())

    def _open(self, device_port: str) -> tuple[OpenApiClient, str]:
        """Start the cloud; return a parent's client, and the port that devices connect to."""
        words = ["serve", "--data", str(self.bench.cloud_data), "--public-host", HOST]
        ports = ["--api-port", "0", "--device-port", device_port]
        log = self.bench.folder / "cloud.log"
        log.unlink(missing_ok=True)
        self.bench.cloud = Service("story-cloud", [*words, *ports], log)
        ready = self.bench.cloud.wait_for_line(r"ready api=(\S+) device=(\S+)")
        self.bench.api = ready.group(1).replace(HOST, "127.0.0.1")
        return self.bench.client(), ready.group(2).rpartition(":")[2]

    def release(self) -> None:
        """Release the new version's system to this kind of machine."""
        bundle = self.images / f"story-{self.board.name}-{NEW}.raucb"
        self.bench.story_cloud("release", "add", str(bundle), "--version", NEW, "--installer", "rauc")  # fmt: skip
        strategy = self.bench.story_cloud("strategy", "add", "--version", NEW, "--type", "passive", "--from", OLD)  # fmt: skip
        self.bench.story_cloud("strategy", "publish", str(strategy["strategyId"]))

    def close(self) -> None:
        """End the machine and the cloud."""
        self.card.cut_power()
        self.bench.stop()

    # What the steps are made of.

    def call(self, ask: Callable[[OpenApiClient], T]) -> T | None:
        """Call the open API; None while it cannot answer."""
        try:
            return ask(self.client)
        except (OpenApiError, httpx.HTTPError):
            return None

    def wait(self, what: str, look: Callable[[], T | None], seconds: float) -> T:
        """Wait for ``look``, the slower machine longer; raises ProofError with the console's end."""
        seconds *= self.card.patience
        end = time.monotonic() + seconds
        while not (found := look()):
            if time.monotonic() > end:
                raise ProofError(f"no {what} in {seconds:g} s; {self.card.serial()[-800:]}")
            time.sleep(POLL_SECONDS)
        return found

    def is_online(self) -> bool:
        """Whether the cloud sees it, registered since its last start."""
        online = self.call(lambda client: client.online([self.uuid]))
        return REGISTERED in self.card.serial() and bool(online and online[self.uuid])

    def register(self, clock: str = "", *, counted: bool = False) -> float:
        """Switch it on and wait until it is registered; return the host's seconds."""
        begin = time.monotonic()
        self.card.start(clock, counted=counted)
        self.wait("registration", self._is_up, BOOT_SECONDS)
        return time.monotonic() - begin

    def _is_up(self) -> bool:
        """Whether it is online; raises ProofError for a machine that goes off before."""
        if self.card.has_ended:
            raise ProofError(f"it went off before it was registered; {self.card.serial()[-800:]}")
        return self.is_online()

    def switch_on(self) -> None:
        """Start it, if the step before has left it off, and wait until it is registered."""
        if self.card.has_ended:
            self.register()

    def registrations(self) -> int:
        """Return how often it has registered since its last start."""
        return self.card.serial().count(REGISTERED)

    def guest_seconds(self) -> str:
        """Return the guest's own seconds since the kernel's start: agent started, registered."""
        unit = "systemctl show -P ActiveEnterTimestampMonotonic story-agent"
        active = int(self.card.ask(unit)) / 1e6
        line = self.card.ask(f"journalctl -b -o short-monotonic -u story-agent | grep '{REGISTERED}' | head -1")  # fmt: skip
        return f"guest: agent ready {active:.1f} s, registered {line.partition(']')[0].strip('[ ')} s"  # fmt: skip

    def is_installing(self) -> bool:
        """Whether RAUC writes the new system; its mounts are in a namespace of its own."""
        with sqlite3.connect(f"file:{self.bench.cloud_data}/cloud.sqlite?mode=ro", uri=True) as cloud:  # fmt: skip
            query = "SELECT 1 FROM ota_events WHERE event = ? AND percent > 0.3"
            return cloud.execute(query, (OtaEvent.INSTALLING,)).fetchone() is not None

    def give_root(self) -> None:
        """Put the releases' root in, as `make image ROOT_JSON=…` would, had this cloud been there before the image."""
        data = (self.bench.cloud_data / "tuf" / "metadata" / "1.root.json").read_bytes()
        text = base64.b64encode(data).decode()
        # A terminal's line has at most 4096 bytes.
        for at in range(0, len(text), 2000):
            self.card.ask(f"echo {text[at : at + 2000]} >>/tmp/root.b64")
        self.card.ask("base64 -d /tmp/root.b64 >/var/lib/story-agent/root.json; sync; chown story-agent: /var/lib/story-agent/root.json")  # fmt: skip

    def status(self) -> dict[str, Any]:
        """Return the agent's status, as the machine says it."""
        text = self.card.ask("story-agent status --json")
        try:
            return dict(json.loads(text))
        except ValueError as error:
            raise ProofError(f"status: {text[:500]}") from error

    def read(self, name: str) -> str:
        """Read a data point by the open API, again and again until the machine answers in time."""

        def content() -> str | None:
            answer = self.call(lambda client: client.send(self.uuid, "GET", name, None))
            return str(answer["content"]) if answer is not None and answer.get("code") == "2.05" else None  # fmt: skip

        return self.wait(f"answer to {name}", content, STEP_SECONDS)

    def order(self, name: str, content: str) -> str:
        """Set a data point by the open API until the machine takes it, and return its code.

        The first player, and the first question to polkit, take an emulated processor longer than a request may: the order
        is repeated, as a parent would.
        """

        def code() -> str | None:
            answer = self.call(lambda client: client.send(self.uuid, "PUT", name, content))
            if self.card.has_ended:
                return "no answer, it is off"
            found = str(answer.get("code")) if answer is not None else ""
            return found if found.startswith("2.0") else None

        return self.wait(f"machine that takes {name} {content}", code, STEP_SECONDS)

    def play(self) -> int:
        """Order the tone by the open API; return the loudest sample once there is one."""
        self.order("volume", "12")
        self.order("play", "tone")
        return self.wait("sound", lambda: it if (it := self.card.loudness()) > 100 else None, STEP_SECONDS)  # fmt: skip

    def expect(self, what: str, found: str, expected: str) -> None:
        """Raise ProofError unless ``found`` has ``expected``."""
        if expected not in found:
            raise ProofError(f"{what}: {found[:600]!r}, expected {expected!r}")
