"""The card image proved on its twin: flashed, started, and treated as a machine is in years, in an emulator.

    python -m tests.vm.image_proof --images DIR [--folder DIR] [--only NAME...] [--write FILE]

``make test-vm`` builds the images of both versions and runs this. Each step prints a line with what was measured. The
emulator has no hardware help, so that its seconds are ten and more times a Pi's: the guest's own are given beside the host's.
"""

# ruff: noqa: T201  # a command line prints

from __future__ import annotations

import argparse
import base64
import json
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from staging.client import OpenApiClient, OpenApiError
from tests.vm.card import Card
from tools.bench import Bench
from tools.image.board import read_board
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


@dataclass(frozen=True, slots=True)
class Row:
    """One step: its name, what was found, the host's seconds, and whether it is good."""

    name: str
    found: str
    seconds: float
    good: bool


class Proof:
    """A cloud and one machine."""

    def __init__(self, folder: Path, images: Path) -> None:
        """Flash a card with the old version, in ``folder``; and start the cloud."""
        self.images = images
        self.bench = Bench(folder)
        self.client, self.uuid = self._open()
        self.card = Card(folder / "machine", read_board("qemu"), images / f"story-qemu-{OLD}.img", CARD_MIB)  # fmt: skip
        profile = self.bench.story_cloud("device", "profile", self.uuid)
        self.card.put("story-agent.profile", json.dumps(profile).encode())
        self.card.put("WIFI.TXT", WIFI.encode())

    def _open(self) -> tuple[OpenApiClient, str]:
        words = ["serve", "--data", str(self.bench.cloud_data), "--public-host", HOST]
        ports = ["--api-port", "0", "--device-port", "0"]
        self.bench.cloud = Service("story-cloud", [*words, *ports], self.bench.folder / "cloud.log")
        ready = self.bench.cloud.wait_for_line(r"ready api=(\S+) device=(\S+)")
        self.bench.api = ready.group(1).replace(HOST, "127.0.0.1")
        client = self.bench.client()
        uuid = str(self.bench.story_cloud("device", "add")["uuid"])
        device = json.loads(command("story-cloud", "device", "profile", uuid, "--data", self.bench.cloud_data))  # fmt: skip
        client.bind(uuid, device["bindToken"])
        return client, uuid

    def release(self) -> None:
        """Release the new version's system to this kind of machine."""
        bundle = self.images / f"story-qemu-{NEW}.raucb"
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
        """Wait for ``look``; raises ProofError with the console's end."""
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

    def register(self, clock: str = "") -> float:
        """Switch it on and wait until it is registered; return the host's seconds."""
        begin = time.monotonic()
        self.card.start(clock)
        self.wait("registration", lambda: self.is_online() or None, BOOT_SECONDS)
        return time.monotonic() - begin

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

    def send(self, method: str, name: str, content: str | None = None) -> dict[str, Any]:
        """Read or set a data point by the open API, with patience."""
        return self.wait(f"answer to {name}", lambda: self.call(lambda it: it.send(self.uuid, method, name, content)), STEP_SECONDS)  # fmt: skip

    def play(self) -> int:
        """Order the tone by the open API; return the loudest sample once there is one."""
        self.send("PUT", "volume", "12")
        answer = self.send("PUT", "play", "tone")
        self.expect("the answer", str(answer.get("code")), "2.0")
        return self.wait("sound", lambda: it if (it := self.card.loudness()) > 100 else None, STEP_SECONDS)  # fmt: skip

    def expect(self, what: str, found: str, expected: str) -> None:
        """Raise ProofError unless ``found`` has ``expected``."""
        if expected not in found:
            raise ProofError(f"{what}: {found[:600]!r}, expected {expected!r}")


def first_start(proof: Proof) -> str:
    """Flash, plug in, wait: the profile and the Wi-Fi are taken from the boot partition."""
    seconds = proof.register()
    proof.give_root()
    names = proof.card.ask("ls /boot/firmware")
    if "profile" in names or "WIFI.TXT" in names.upper():
        raise ProofError(f"the boot partition still has {names!r}")
    owner = proof.card.ask("stat -c '%a %U' /etc/story-agent/profile.json")
    proof.expect("the profile's mode and owner", owner, "400 story-agent")
    proof.expect("the Wi-Fi", proof.card.ask("stat -c '%a %U' /data/wifi/wpa_supplicant-wlan0.conf"), "600 root")  # fmt: skip
    return f"boot to registered {seconds:.0f} s; {proof.guest_seconds()}"


def the_system(proof: Proof) -> str:
    """Look at the partitions, the memory, the journal and who could log in."""
    ask = proof.card.ask
    proof.expect("the root", ask("grep ' / ' /proc/mounts"), "ext4 ro,")
    proof.expect("a write to the root", ask("touch /usr/x 2>&1"), "Read-only")
    proof.expect("the data partition's options", ask("grep ' /data ' /proc/mounts"), "noatime,commit=30")  # fmt: skip
    size = int(ask("df -BM --output=size /data | tail -1").strip(" M"))
    if size < CARD_MIB // 2 - 300:
        raise ProofError(f"the data partition has {size} MiB of the card's {CARD_MIB}")
    proof.expect("swap", ask("cat /proc/swaps"), "/dev/zram0")
    if "vda" in ask("cat /proc/swaps"):
        raise ProofError("there is swap on the card")
    proof.expect("the journal", ask("journalctl --header | grep 'File path'"), "/run/log/journal")
    proof.expect("the machine's id", ask("cmp /etc/machine-id /data/machine-id && echo same"), "same")  # fmt: skip
    proof.expect("the watchdog", ask("systemctl show -P RuntimeWatchdogUSec; wdctl 2>&1 | head -3"), "i6300ESB")  # fmt: skip
    proof.expect("sshd", ask("ss -ltn; echo; command -v sshd || echo none"), "none")
    failed = ask("systemctl --failed --no-legend --plain")
    if failed:
        raise ProofError(f"failed units: {failed}")
    return f"root read-only, data {size} MiB of a {CARD_MIB} MiB card, swap in zram, journal in memory, id kept, no failed unit, no sshd"  # fmt: skip


def volume(proof: Proof) -> str:
    """Set the volume by the open API, and read it on the machine."""
    answer = proof.send("PUT", "volume", "7")
    proof.expect("the answer", str(answer.get("code")), "2.0")
    proof.expect("the volume on the machine", proof.card.ask("story-agent get volume"), "7")  # fmt: skip
    return f"PUT volume 7: {answer.get('code')}; the machine says the same"


def sound(proof: Proof) -> str:
    """Play a story of its own media folder by the open API: the sound card gets samples."""
    proof.card.ask(TONE, STEP_SECONDS)
    begin = time.monotonic()
    loudest = proof.play()
    return f"order to sound {time.monotonic() - begin:.0f} s of the host; loudest sample {loudest} of 32767"  # fmt: skip


def killed(proof: Proof) -> str:
    """Kill -9 of the agent: systemd starts it, and it registers."""
    before, begin = proof.registrations(), time.monotonic()
    proof.card.ask("systemctl kill -s KILL --kill-whom=main story-agent")
    proof.wait("registration", lambda: proof.registrations() > before and proof.is_online(), STEP_SECONDS)  # fmt: skip
    return f"registered again after {time.monotonic() - begin:.0f} s"


def stopped(proof: Proof) -> str:
    """SIGSTOP of the agent: systemd's watchdog ends it, and it registers."""
    before, begin = proof.registrations(), time.monotonic()
    proof.card.ask("kill -STOP $(systemctl show -P MainPID story-agent)")
    proof.wait("registration", lambda: proof.registrations() > before and proof.is_online(), STEP_SECONDS)  # fmt: skip
    proof.expect("why", proof.card.ask("journalctl -u story-agent -b | grep -i watchdog | head -2"), "atchdog timeout")  # fmt: skip
    return f"registered again after {time.monotonic() - begin:.0f} s, by the watchdog"


def restarted(proof: Proof) -> str:
    """An orderly restart: the id stays, the profile stays."""
    known = proof.card.ask("cat /etc/machine-id")
    proof.card.ask("systemctl --no-block reboot")
    proof.wait("restart", lambda: proof.card.wants_restart or None, STEP_SECONDS)
    seconds = proof.register()
    proof.expect("the id", proof.card.ask("cat /etc/machine-id"), known)
    proof.play()
    heard = proof.card.ask("cut -d' ' -f1 /proc/uptime")
    return f"boot to registered {seconds:.0f} s; {proof.guest_seconds()}; boot to sound, ordered by the cloud: {heard} s of the guest"


def powered_off(proof: Proof) -> str:
    """The cloud's order `switch` powers the machine off, and it stays off."""
    begin = time.monotonic()
    answer = proof.call(lambda client: client.send(proof.uuid, "PUT", "switch", "true"))
    proof.wait("power-off", lambda: proof.card.has_ended or None, STEP_SECONDS)
    if proof.card.wants_restart or "reboot: Power down" not in proof.card.serial():
        raise ProofError(f"it did not power off: {proof.card.serial()[-400:]}")
    return f"PUT switch: {answer and answer.get('code')}; off after {time.monotonic() - begin:.0f} s"  # fmt: skip


def clock_1970(proof: Proof) -> str:
    """A start with a clock of 1970, as on a board without one, after a power cut."""
    proof.card.cut_power()
    seconds = proof.register("1970-01-01T00:00:00")
    year = proof.card.ask("date +%F")
    return f"boot to registered {seconds:.0f} s with the guest's clock at {year}"


def updated(proof: Proof) -> str:
    """A whole new system with the agent's next package, with a power cut while it is written."""
    proof.release()
    offer: Any = proof.wait("offer", lambda: proof.call(lambda it: it.new_version(proof.uuid)), STEP_SECONDS)  # fmt: skip
    begin = time.monotonic()
    proof.wait("order", lambda: proof.call(lambda it: it.update(proof.uuid, offer["packageId"], offer["strategyId"])), STEP_SECONDS)  # fmt: skip
    proof.wait("installation", lambda: proof.is_installing() or None, UPDATE_SECONDS)
    proof.card.cut_power()
    cut = time.monotonic() - begin
    proof.card.start()
    end = proof.wait("end of the update", lambda: _end(proof), UPDATE_SECONDS)
    if (end["status"], proof.card.starts[-1]) != ("SUCCESS", "B"):
        raise ProofError(f"the update ended {end}, slot {proof.card.starts[-1]} runs")
    proof.expect("the version", json.dumps(proof.status()), NEW)
    proof.expect("the kernel's slot", proof.card.ask("cat /proc/cmdline"), "rauc.slot=B")
    return f"cut {cut:.0f} s after the order; SUCCESS after {time.monotonic() - begin:.0f} s; slots started: {' '.join(proof.card.starts)}; the package's new version runs"  # fmt: skip


def _end(proof: Proof) -> dict[str, Any] | None:
    if proof.card.has_ended:
        proof.card.start()
    task = proof.call(lambda client: client.update_status(proof.uuid))
    over = task is not None and task["status"] in {"SUCCESS", "FAILED"}
    return task if over and proof.is_online() else None


def analysis(proof: Proof) -> str:
    """What the start costs, by systemd itself; written beside the table."""
    proof.wait("end of the start", lambda: "finished in" in proof.card.ask("systemd-analyze 2>&1") or None, STEP_SECONDS)  # fmt: skip
    text = proof.card.ask("systemd-analyze; systemd-analyze --no-pager critical-chain story-agent.service; systemd-analyze --no-pager blame | head -25")  # fmt: skip
    (proof.bench.folder / "analyze.txt").write_text(text)
    return text.splitlines()[0]


STEPS: dict[str, Callable[[Proof], str]] = {
    "first-start": first_start,
    "system": the_system,
    "start-cost": analysis,
    "volume": volume,
    "sound": sound,
    "kill-9": killed,
    "sigstop": stopped,
    "reboot": restarted,
    "power-off": powered_off,
    "clock-1970": clock_1970,
    "update": updated,
}


def prove(proof: Proof, names: list[str]) -> list[Row]:
    """Run the steps in their order; a bad one does not end the proof."""
    rows = []
    for name in names:
        begin = time.monotonic()
        try:
            found, good = STEPS[name](proof), True
        except Exception as error:  # noqa: BLE001  # a step that breaks is a result too
            found, good = f"{type(error).__name__}: {error}", False
        row = Row(name, " ".join(found.split())[:900], time.monotonic() - begin, good)
        print(f"{'ok ' if good else 'BAD'} {row.name}: {row.found} ({row.seconds:.0f} s)", flush=True)  # fmt: skip
        rows.append(row)
    return rows


def table(rows: list[Row]) -> str:
    """Render the rows as Markdown."""
    lines = ["| step | result | found | seconds |", "|---|---|---|---:|"]
    lines += [
        f"| {it.name} | {'ok' if it.good else 'BAD'} | {it.found.replace('|', '/')} | {it.seconds:.0f} |"
        for it in rows
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run the proof; 0 if every step is good."""
    parser = argparse.ArgumentParser(prog="python -m tests.vm.image_proof", description=__doc__)
    parser.add_argument("--images", type=Path, required=True, help="what `make image` made")
    parser.add_argument("--folder", type=Path, help="keep the machine's files here")
    parser.add_argument("--only", nargs="+", choices=list(STEPS), default=list(STEPS))
    parser.add_argument("--write", type=Path, help="file that the table goes to")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with tempfile.TemporaryDirectory(dir=options.images) as temporary:
        folder = (options.folder or Path(temporary)).absolute()
        if options.folder:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        proof = Proof(folder, options.images.absolute())
        try:
            rows = prove(proof, ["first-start", *(it for it in options.only if it != "first-start")])  # fmt: skip
        finally:
            proof.close()
    if options.write:
        options.write.write_text(table(rows), "utf-8")
    return int(not all(row.good for row in rows))


if __name__ == "__main__":
    sys.exit(main())
