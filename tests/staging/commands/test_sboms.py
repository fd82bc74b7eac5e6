"""Lists of parts as commands: from the real tool's package to the question which devices run a part."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from staging.commands import cli
from staging.store import Database, devices
from staging.store.effects import RunningVersion, Wanted, apply_all
from tests.staging.commands.conftest import UUID
from wire.reports import Sboms


def report(data: Path, version: str, told: Sboms) -> None:
    database = Database(data / "cloud.sqlite")
    device = database.call(devices.get, UUID)
    database.call(apply_all, device.id, None, [Wanted([RunningVersion(version, told)])], 9)
    database.close()


def test_from_a_package_to_the_devices_that_run_a_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str, code: int = 0) -> str:
        assert cli.main([*words, "--data", str(tmp_path / "data")]) == code
        printed = capsys.readouterr()
        return printed.err if code else printed.out

    def ask(*words: str) -> Any:
        return json.loads(run(*words, "--json"))

    assert run("sbom", "list") == "no lists of parts\n"
    assert "there is none" in run("sbom", "show", "0" * 64, code=1)
    package = tmp_path / "p.tar.gz"
    command = (sys.executable, "-m", "release.cli", "build", "--version", "1.1.0", "--output")
    subprocess.run((*command, str(package)), check=True, capture_output=True, timeout=50)
    run("release", "add", str(package), "--version", "1.1.0")
    document = Path(f"{package}.cdx.json").read_bytes()
    digest = hashlib.sha256(document).hexdigest()
    (kept,) = ask("sbom", "list")["sboms"]
    assert (kept["sha256"], kept["version"], kept["devices"]) == (digest, "1.1.0", 0)
    assert run("sbom", "show", digest[:8]).encode() == document
    assert ask("sbom", "add", f"{package}.cdx.json")["new"] is False

    version = {it["name"]: it["version"] for it in json.loads(document)["components"]}["urllib3"]
    run("device", "add", "--uuid", UUID)
    lines = run("sbom", "devices", "urllib3", version)
    assert lines == (
        "0 of 1 devices; of 1 more it is not known: "
        "they report no list of parts, and their version has none\n"
    )
    base = tmp_path / "base.cdx.json"
    base.write_bytes(document.replace(b'"base"', b'"bundled"').replace(b"\n", b""))
    unknown = hashlib.sha256(base.read_bytes()).hexdigest()
    report(tmp_path / "data", "1.1.0", Sboms(digest, unknown))
    lines = run("sbom", "devices", "urllib3")
    assert f"add the lists {unknown[:12]} (story-cloud sbom add FILE.cdx.json)" in lines
    assert ask("sbom", "add", str(base))["sha256"] == unknown
    lines = run("sbom", "devices", "URLLIB3", version)
    assert lines == f"{UUID} runs 1.1.0: urllib3 {version} (reported)\n1 of 1 devices\n"
    found = ask("sbom", "devices", "urllib3", version)
    assert (len(found["devices"]), found["total"], found["unknown"]) == (1, 1, 0)
    assert run("sbom", "devices", "urllib3", "0.1") == "0 of 1 devices\n"
    error = run("sbom", "devices", "urllib", code=1)
    assert error == "story-cloud: part urllib: no list of parts has it; perhaps urllib3\n"
    package.write_text("no SBOM")
    assert "SBOM" in run("sbom", "add", str(package), code=1)
