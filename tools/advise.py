"""Runs the advisor on our own agent: a cloud and an agent of their own, in a folder that is removed afterwards.

    python -m tools.advise [--suite quick] [--link coap|mqtt] [--seed N] [--report DIR]

Over framed CoAP the running cloud leads the agent to the advisor; over MQTT its profile does. Exit code 0 only if no check fails or warns, and each case was run to its end.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tools.bench_machine import BenchMachine
from tools.processes import BIN, Service, command, free_port, supervise
from tools.pulse import MIC_SOURCE, MicServer

ROOT = Path(__file__).resolve().parent.parent
# A bench's machine comes back soon after a certificate that it must refuse, and takes its updates from the bench.
SETTINGS = """\
[link]
refused_retry_seconds = 5
[ota]
repository = "http://127.0.0.1:{port}/tuf"
[health]
sound = "off"
"""
# With a sound server: what the machine listens to.
VOICE = f"""\
[voice]
microphone = "{MIC_SOURCE}"
capture = "parec"
vad = "energy"
"""
# A virtual microphone with faint noise, and the ear of whoever plays (`tools.pulse`).
SERVER = (
    "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm=yes", "--log-level=error",
    "-L", "module-null-sink sink_name=bench", "-L", "module-null-sink sink_name=mic",
)  # fmt: skip
NATIVE = "module-native-protocol-unix socket={} auth-anonymous=1"
NOISE = ("--latency-msec=20", "--device=mic", "--volume=6554", "/dev/urandom")
SOUND_PROGRAMS = ("pulseaudio", "pactl", "pacat", "parec")
HAND, SENTENCE = ROOT / "tools" / "advise_hand.py", ROOT / "tools" / "utterance.wav"
CLOUD = ("--api-port", "0", "--device-port", "0")
# What it is updated to: the same sources, under a number of their own.
PACKAGE_VERSION = "98.0.0"
START_SECONDS = 60.0
# How the reason of a case begins that proves nothing of our agent (`staging.advise.runner`).
UNTRIED = (
    "no time is left",
    "broken off",
    "the device did not come",
    "the device does not come",
    "the connection failed",
)
# The full suite's ten minutes, and the wait for the machine.
LONGEST_SECONDS = 800.0


def main() -> int:
    """Run one suite; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", default="quick")
    parser.add_argument("--link", choices=("coap", "mqtt"), default="coap")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--report", type=Path, default=ROOT / "build" / "advise")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="advise-") as folder:
        return _run(options, Path(folder))


def _run(options: argparse.Namespace, folder: Path) -> int:
    machine = Machine(folder, options.link)
    with _room() as voice:
        cloud = Service(
            "story-cloud", ["serve", *CLOUD, "--data", machine.cloud], folder / "cloud.log"
        )
        try:
            machine.prepare(voice)
            cloud.wait_for_line("ready api=")
            _advise(options, machine, cloud, voice)
        finally:
            machine.stop()
            cloud.stop()
    made = json.loads((options.report / "report.json").read_text("utf-8"))
    untried = [each["name"] for each in made["cases"] if each["skipped"].startswith(UNTRIED)]
    if untried:
        print(f"advise: not tried, or not to the end: {', '.join(untried)}", file=sys.stderr)
    return 1 if made["counts"]["fail"] or made["counts"]["warn"] or untried else 0


@contextmanager
def _room() -> Iterator[Mapping[str, str]]:
    """Run a sound server with a virtual microphone; return what its clients need in their environment, nothing without one."""
    if any(shutil.which(program) is None for program in SOUND_PROGRAMS):
        print("advise: no PulseAudio here, so nobody speaks", file=sys.stderr)
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="advise-mic-") as short:
        folder = Path(short)
        variables, place = MicServer(folder).variables, folder / "native"
        log = folder / "sound.log"
        # Again whenever it ends: the advisor kills it.
        server = supervise(
            "/usr/bin/pulseaudio", [*SERVER, "-L", NATIVE.format(place)], log, variables
        )
        noise = supervise("/usr/bin/pacat", NOISE, log, variables)
        try:
            server.wait_for("sound server", lambda: place.exists() or None, START_SECONDS)
            yield variables
        finally:
            noise.stop()
            server.stop()


class Machine:
    """Our own agent, with all its files below one folder."""

    def __init__(self, folder: Path, link: str) -> None:
        """Use ``folder``, which exists."""
        self.link = link
        self.cloud, self.state = folder / "cloud", folder / "machine"
        self.profile, self.settings = folder / "profile.json", folder / "agent.toml"
        self.package, self.log = folder / "package.tar.gz", folder / "agent.log"
        self.web_port = free_port()
        self.process: Service | None = None
        self.bench = BenchMachine(folder, self.state)

    def prepare(self, voice: Mapping[str, str]) -> None:
        """Write what it needs, and a package to which it is updated."""
        self.state.mkdir(mode=0o700)
        self.bench.begin(voice)
        (self.state / "media").mkdir()
        shutil.copy(SENTENCE, self.state / "media" / "小星星.wav")
        text = SETTINGS.format(port=self.web_port) + (VOICE if voice else "")
        self.settings.write_text(text, "utf-8")
        command("story-release", "build", "--version", PACKAGE_VERSION, "--output", self.package)

    def start(self) -> Service:
        """Start it, and again whenever it ends, as systemd does."""
        where = ("--state", self.state, "--profile", self.profile, "--config", self.settings)
        self.process = supervise("story-agent", ["run", *where], self.log, self.bench.variables)
        return self.process

    def start_helper(self) -> list[str | Path]:
        """Start the helper that makes faults at the machine; return the words that name it to the advisor."""
        token = self.log.with_name("helper-token")
        return ["--helper", f"127.0.0.1:{self.bench.start_helper(token)}", "--token-file", token]

    def stop(self) -> None:
        """End it, and give back what it had of its own."""
        if self.process is not None:
            self.process.stop()
        self.bench.stop()


def _advise(
    options: argparse.Namespace, machine: Machine, cloud: Service, voice: Mapping[str, str]
) -> None:
    added = command(
        "story-cloud", "device", "add", "--development", "--json", "--data", machine.cloud
    )
    uuid = json.loads(added)["uuid"]
    words: list[str | Path] = [
        "advise", uuid, "--suite", options.suite, "--seed", options.seed, "--report", options.report,
        "--root", machine.state / "root.json", "--web-port", str(machine.web_port),
        "--package", machine.package, "--package-version", PACKAGE_VERSION, "--data", machine.cloud,
    ]  # fmt: skip
    if voice:
        words += [
            "--hand",
            f"{shlex.quote(sys.executable)} -P {shlex.quote(str(HAND))} {shlex.quote(str(machine.state))}",
        ]
    if options.link == "mqtt":
        words += ["--port", str(free_port()), "--link", "mqtt", "--profile", machine.profile]
    else:
        machine.profile.touch(mode=0o600)
        flashed = command("story-cloud", "device", "profile", uuid, "--data", machine.cloud)
        machine.profile.write_text(flashed, "utf-8")
        machine.start().wait_for_line("registered with")
    words += machine.start_helper()
    advisor = subprocess.Popen([BIN / "story-cloud", *words], env={**os.environ, **voice})
    if options.link == "mqtt":
        cloud.wait_for("profile", lambda: machine.profile.exists() or None, START_SECONDS)
        machine.start()
    advisor.wait(LONGEST_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
