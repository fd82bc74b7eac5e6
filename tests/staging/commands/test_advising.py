"""``story-cloud advise``: lists, compares and verifies reports, and says why a device cannot be led.

Tests staging.advise.visit too.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from staging.advise import catalogue, report
from staging.advise.record import Known
from staging.advise.sign import sign
from staging.advise.visit import write
from staging.commands import cli
from staging.identity import ca
from staging.times import now_ms
from tests.staging.advise.rig import advise
from tests.staging.advise.twin_points import TOKEN, UUID
from tests.staging.commands.conftest import Command


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, certificates: ca.Certificates) -> list[Path]:
    """Return the folders of two reports: of a good twin, and of one that a check fails."""
    made = []
    for fault in ("", "control.range"):
        outcome = advise(fault, catalogue.select("control"))
        known = Known(UUID, TOKEN, version="1.0")
        whole = report.build(outcome, known, suite="control", seed=1, started_ms=now_ms())
        whole["signature"] = sign(whole, certificates)
        made.append(write(whole, tmp_path_factory.mktemp("report") / "new", "zh"))
    return made


def test_a_report_has_three_forms(folders: list[Path]) -> None:
    assert sorted(path.name for path in folders[0].iterdir()) == [
        "junit.xml",
        "report.html",
        "report.json",
    ]


def test_all_checks_are_listed(command: Command) -> None:
    found = command("advise", "list")
    assert len(found["checks"]) == len(catalogue.CHECKS)
    assert "quick" in found["suites"]


def test_what_a_new_firmware_broke_is_an_exit_code(
    command: Command, folders: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = map(str, folders)
    assert command("advise", "compare", good, f"{good}/report.json")["changes"] == []
    mended = command("advise", "compare", bad, good)
    assert mended["changes"] == [
        {"id": "control.range", "kind": "mended", "before": "fail", "after": "pass"}
    ]
    assert cli.main(["advise", "compare", good, bad]) == 1
    assert "broke  control.range: pass → fail" in capsys.readouterr().out


def test_a_report_is_verified_by_its_clouds_ca(
    command: Command, mistake: Command, folders: list[Path], certificates: ca.Certificates
) -> None:
    authority = ("--authority", str(certificates.ca))
    assert command("advise", "verify", str(folders[0]), *authority)["device"]["uuid"] == UUID
    changed = folders[1].with_name("changed.json")
    whole = json.loads((folders[1] / "report.json").read_text())
    changed.write_text(json.dumps(whole | {"counts": {}}))
    assert "was changed after it was signed" in str(
        mistake("advise", "verify", str(changed), *authority)
    )


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["advise", "no-device"], "got 'no-device', expected 14 hexadecimal digits"),
        (["advise", "compare", "a.json"], "got 1 reports, expected 2"),
        (["advise", "verify"], "got 0 reports, expected 1"),
        (["advise", "0" * 14, "--suite", "slow"], "--suite: got 'slow', expected quick, full"),
        (["advise", "0" * 14, "a.json"], "a.json: reports are for compare and verify"),
        (["advise", "0" * 14], "0" * 14),
    ],
)
def test_what_cannot_be_done_is_told(mistake: Command, words: list[str], reason: str) -> None:
    assert reason in str(mistake(*words))


def test_a_device_that_nobody_can_lead_is_told_how(command: Command, mistake: Command) -> None:
    uuid = command("device", "add")["uuid"]
    told = str(
        mistake("advise", uuid, "--host", "127.0.0.1", "--device-port", "1", "--api-port", "2")
    )
    assert "no story-cloud serves" in told or "certificate" in told or "server.crt" in told
    assert "expected --port too" in str(
        mistake(
            "advise", uuid, "--link", "mqtt", "--host", "a", "--device-port", "1", "--api-port", "2"
        )
    )
