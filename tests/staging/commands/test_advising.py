"""``story-cloud advise``: lists, compares and verifies reports, and says why a device cannot be led.

Tests staging.advise.visit too.
"""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from staging.advise import catalogue, report
from staging.advise.record import Known
from staging.advise.sign import sign
from staging.advise.visit import Wish, releases_of, write
from staging.commands import cli
from staging.commands.advising import ask_to_speak
from staging.data_dir import DataDir
from staging.errors import StagingError
from staging.identity import ca
from staging.times import now_ms
from tests.staging.advise.rig import advise
from tests.staging.advise.twin_points import TOKEN, UUID
from tests.staging.commands.conftest import Command

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
SENTENCE_SECONDS = 5.0


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


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--package", "x.tar.gz"], "--package: expected --package-version too"),
        (["--package-version", "2.0"], "--package: expected --package-version too"),
        (["--package", "/no/such", "--package-version", "2.0"], "--package /no/such: No such file"),
        (["--package", "/no/such", "--package-version", "two"], "--package-version: got .two., expected a version"),
    ],
)  # fmt: skip
def test_a_package_that_cannot_be_offered_is_named(
    command: Command, mistake: Command, words: list[str], reason: str
) -> None:
    uuid = command("device", "add")["uuid"]
    where = ("--host", "127.0.0.1", "--device-port", "1", "--api-port", "2")
    assert re.search(reason, str(mistake("advise", uuid, *where, *words)))


def test_the_benchs_root_is_the_same_each_time_and_its_key_is_kept_secret(tmp_path: Path) -> None:
    data, root = DataDir(tmp_path / "data"), tmp_path / "root.json"
    wish = Wish("update", 1, root=root)
    assert releases_of(data, wish).root == root.read_bytes()
    before = root.read_bytes()
    releases_of(data, wish)
    assert root.read_bytes() == before
    assert (tmp_path / "data" / "advise" / "releases.key").stat().st_mode & 0o777 == 0o600
    assert not releases_of(data, Wish("update", 1)).signed
    with pytest.raises(StagingError, match="--root"):
        releases_of(data, Wish("update", 1, root=tmp_path / "none" / "root.json"))


async def test_the_tester_is_asked_to_speak(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    monkeypatch.delenv("LANGUAGE", raising=False)
    await ask_to_speak()
    told = capsys.readouterr().err
    assert told == "press its talk button in 3 2 1 now speak for five seconds enough\n"
    assert waited == [1, 1, 1, SENTENCE_SECONDS]


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
