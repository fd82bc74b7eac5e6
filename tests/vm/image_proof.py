"""The card image proved on its twin: flashed, started, and treated as a machine is in years, in an emulator.

    python -m tests.vm.image_proof --images DIR [--board NAME] [--folder DIR [--go-on]] [--only NAME...] [--write FILE]

``make test-vm`` builds the images of both versions and runs this. Each step prints a line with what was measured. The
emulator has no hardware help, so that its seconds are ten and more times a Pi's: the guest's own are given beside the host's.
``make test-pi`` does the same with the image of a Pi 3, which has no shell: what is not seen on its console is asked of the cloud.
"""

# ruff: noqa: T201  # a command line prints

from __future__ import annotations

import argparse
import json
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.vm.boot_to_sound import boot_to_sound
from tests.vm.services import exposure, player
from tests.vm.twin import (
    CARD_MIB,
    NEW,
    OLD,
    STEP_SECONDS,
    TONE,
    UPDATE_SECONDS,
    Proof,
    ProofError,
)
from tools.image.board import read_board


@dataclass(frozen=True, slots=True)
class Row:
    """One step: its name, what was found, the host's seconds, and whether it is good."""

    name: str
    found: str
    seconds: float
    good: bool


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
    complaints = ask(
        "journalctl -b -u 'story-machine-*' --no-pager | grep -iE 'could not|denied|not permitted|invalid'"
    )
    if complaints:
        raise ProofError(f"the card's own units: {complaints}")
    proof.expect("the watchdog", ask("systemctl show -P RuntimeWatchdogUSec; wdctl 2>&1 | head -3"), "i6300ESB")  # fmt: skip
    proof.expect("sshd", ask("ss -ltn; echo; command -v sshd || echo none"), "none")
    failed = ask("systemctl --failed --no-legend --plain")
    if failed:
        raise ProofError(f"failed units: {failed}")
    return f"root read-only, data {size} MiB of a {CARD_MIB} MiB card, swap in zram, journal in memory, id kept, no failed unit, no sshd"  # fmt: skip


def parts(proof: Proof) -> str:
    """Ask the cloud which devices run a Debian package: the machine has reported its image's list of parts."""
    beside = proof.images / f"story-{proof.board.name}-{OLD}.img.cdx.json"
    added = proof.bench.story_cloud("sbom", "add", str(beside))
    answer = proof.bench.story_cloud("sbom", "devices", "libc6")
    found = [
        it for it in answer["devices"] if (it["uuid"], it["basis"]) == (proof.uuid, "reported")
    ]
    if not found:
        raise ProofError(f"which devices run libc6? {answer}")
    return f"{added['parts']} parts; libc6 {found[0]['version']}: this machine, reported"


def volume(proof: Proof) -> str:
    """Set the volume by the open API, and read it on the machine."""
    code = proof.order("volume", "7")
    proof.expect("the volume on the machine", proof.card.ask("story-agent get volume"), "7")
    return f"PUT volume 7: {code}; the machine says the same"


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
    proof.card.restart()
    proof.wait("restart", lambda: proof.card.wants_restart or None, STEP_SECONDS)
    seconds = proof.register()
    proof.expect("the id", proof.card.ask("cat /etc/machine-id"), known)
    return f"boot to registered {seconds:.0f} s; {proof.guest_seconds()}; the id is kept"


def powered_off(proof: Proof) -> str:
    """The cloud's order `switch` powers the machine off, and it stays off."""
    begin = time.monotonic()
    code = proof.order("switch", "true")
    proof.wait("power-off", lambda: proof.card.has_ended or None, STEP_SECONDS)
    if proof.card.wants_restart or "reboot: Power down" not in proof.card.serial():
        raise ProofError(f"it did not power off: {proof.card.serial()[-400:]}")
    return f"PUT switch: {code}; off after {time.monotonic() - begin:.0f} s"


def clock_1970(proof: Proof) -> str:
    """A start with a clock of 1970, as on a board without one, after a power cut."""
    proof.card.cut_power()
    seconds = proof.register("1970-01-01T00:00:00")
    year = proof.card.ask("date +%F")
    return f"boot to registered {seconds:.0f} s with the guest's clock at {year}"


def emergency(proof: Proof) -> str:
    """A start that ends in systemd's emergency mode: the machine tries again by itself."""
    proof.card.cut_power()
    begin = time.monotonic()
    proof.card.start(words="systemd.unit=emergency.target")
    proof.wait("restart out of the emergency", lambda: proof.card.wants_restart or None, STEP_SECONDS)  # fmt: skip
    proof.expect("the console", proof.card.serial(), "the start has failed")
    seconds = time.monotonic() - begin
    return f"restarted by itself {seconds:.0f} s after the power; then boot to registered {proof.register():.0f} s"


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


def pi_first_start(proof: Proof) -> str:
    """Flash, plug in, wait: a Pi 3's own kernel, device tree and root; the profile comes from the first partition."""
    seconds = proof.register()
    if said := re.findall(r"story-machine-\S+: .*could not.*", proof.card.serial()):
        raise ProofError(f"the card's own units: {said[:4]}")
    return f"boot to registered {seconds:.0f} s"


def pi_volume(proof: Proof) -> str:
    """Set the volume by the open API, and read it back from the machine."""
    code = proof.order("volume", "7")
    content = proof.read("volume")
    proof.expect("the volume", content, "7")
    return f"PUT volume 7: {code}; GET: {content}"


def pi_restart(proof: Proof) -> str:
    """Off by order, and on again: the card's first partition has neither profile nor Wi-Fi any more, the machine both."""
    names = " ".join(proof.card.names()).lower()
    if "profile" in names or "wifi.txt" in names:
        raise ProofError(f"the first partition still has {names!r}")
    return f"the first partition has {names}; boot to registered {proof.register():.0f} s"


STEPS: dict[str, Callable[[Proof], str]] = {
    "first-start": first_start,
    "system": the_system,
    "start-cost": analysis,
    "parts": parts,
    "volume": volume,
    "sound": sound,
    "exposure": exposure,
    "player": player,
    "kill-9": killed,
    "sigstop": stopped,
    "reboot": restarted,
    "boot-to-sound": boot_to_sound,
    "power-off": powered_off,
    "clock-1970": clock_1970,
    "emergency": emergency,
    "update": updated,
}
PI_STEPS: dict[str, Callable[[Proof], str]] = {
    "first-start": pi_first_start,
    "parts": parts,
    "volume": pi_volume,
    "power-off": powered_off,
    "restart": pi_restart,
}
BOARDS = {"qemu": STEPS, "pi-debian": PI_STEPS}
# All others want it running, whatever the step before has left.
STARTS_ITSELF = {"first-start", "boot-to-sound", "clock-1970", "restart", "emergency"}


def prove(proof: Proof, names: list[str]) -> list[Row]:
    """Run the steps in their order; a bad one does not end the proof."""
    steps = BOARDS[proof.board.name]
    rows = []
    for name in names:
        begin = time.monotonic()
        try:
            if name not in STARTS_ITSELF:
                proof.switch_on()
            found, good = steps[name](proof), True
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
    parser.add_argument("--go-on", action="store_true", help="with the card and the cloud that a run before left in --folder")  # fmt: skip
    parser.add_argument("--board", choices=list(BOARDS), default="qemu")
    parser.add_argument("--only", nargs="+", choices=sorted({*STEPS, *PI_STEPS}), help="default: all of the board's")  # fmt: skip
    parser.add_argument("--write", type=Path, help="file that the table goes to")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with tempfile.TemporaryDirectory(dir=options.images) as temporary:
        folder = (options.folder or Path(temporary)).absolute()
        if options.folder and not options.go_on:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        proof = Proof(folder, options.images.absolute(), read_board(options.board), goes_on=options.go_on)  # fmt: skip
        try:
            names = options.only or list(BOARDS[options.board])
            first = [] if options.go_on else ["first-start"]
            rows = prove(proof, [*first, *(it for it in names if it != "first-start")])
        finally:
            proof.close()
    if options.write:
        options.write.write_text(table(rows), "utf-8")
    return int(not all(row.good for row in rows))


if __name__ == "__main__":
    sys.exit(main())
