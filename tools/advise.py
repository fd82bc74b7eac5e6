"""Runs the advisor on our own agent: a cloud and an agent of their own, in a folder that is removed afterwards.

    python -m tools.advise [--suite quick] [--link coap|mqtt] [--seed N] [--report DIR]

Over framed CoAP the running cloud leads the agent to the advisor; over MQTT its profile does. Exit code 0 only if no check fails or warns.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.processes import BIN, Service, command, free_port, supervise

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
# What it is updated to: the same sources, under a number of their own.
PACKAGE_VERSION = "98.0.0"
START_SECONDS = 60.0
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
    data, machine, profile = folder / "cloud", folder / "machine", folder / "profile.json"
    (machine / "media").mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "utterance.wav", machine / "media" / "小星星.wav")
    settings = folder / "agent.toml"
    web_port = free_port()
    settings.write_text(SETTINGS.format(port=web_port), "utf-8")
    package = folder / "package.tar.gz"
    command("story-release", "build", "--version", PACKAGE_VERSION, "--output", package)
    where = ("--data", data, "--api-port", "0", "--device-port", "0")
    agent: Service | None = None
    cloud = Service("story-cloud", ["serve", *where], folder / "cloud.log")
    try:
        cloud.wait_for_line("ready api=")
        uuid = json.loads(
            command("story-cloud", "device", "add", "--development", "--json", "--data", data)
        )["uuid"]
        words = [
            "advise",
            uuid,
            "--suite",
            options.suite,
            "--seed",
            options.seed,
            "--report",
            options.report,
            "--root",
            machine / "root.json",
            "--web-port",
            str(web_port),
            "--package",
            package,
            "--package-version",
            PACKAGE_VERSION,
        ]
        run: list[str | Path] = [
            "run",
            "--state",
            machine,
            "--profile",
            profile,
            "--config",
            settings,
        ]
        if options.link == "mqtt":
            words += ["--port", str(free_port()), "--link", "mqtt", "--profile", profile]
        else:
            profile.touch(mode=0o600)
            profile.write_text(
                command("story-cloud", "device", "profile", uuid, "--data", data), "utf-8"
            )
            agent = supervise("story-agent", run, folder / "agent.log")
            agent.wait_for_line("registered with")
        advisor = subprocess.Popen([BIN / "story-cloud", *words, "--data", data])
        if agent is None:
            cloud.wait_for("profile", lambda: profile.exists() or None, START_SECONDS)
            agent = supervise("story-agent", run, folder / "agent.log")
        advisor.wait(LONGEST_SECONDS)
    finally:
        for service in (agent, cloud):
            if service is not None:
                service.stop()
    counts = json.loads((options.report / "report.json").read_text("utf-8"))["counts"]
    return 1 if counts["fail"] or counts["warn"] else 0


if __name__ == "__main__":
    sys.exit(main())
