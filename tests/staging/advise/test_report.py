"""A report: no secret in it, three forms, signed, and two of them compared."""

from __future__ import annotations

import copy
import json
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from staging.advise import catalogue, html, junit, report
from staging.advise.checks.model import Grade
from staging.advise.compare import compare
from staging.advise.record import Known
from staging.advise.sign import sign, verify
from staging.errors import StagingError
from staging.identity import ca
from staging.times import now_ms
from tests.staging.advise.rig import advise
from tests.staging.advise.twin_points import TOKEN, UUID


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    outcome = advise("control.range", catalogue.select("control"))
    known = Known(UUID, TOKEN, version="1.0.0", hidden=(TOKEN.encode(),))
    return report.build(outcome, known, suite="control", seed=1, started_ms=now_ms())


def test_it_says_what_was_checked_and_seen(made: dict[str, Any]) -> None:
    assert made["counts"]["fail"] == 1
    failed = next(check for check in made["checks"] if check["verdict"] == "fail")
    assert failed["id"] == "control.range"
    assert "volume: below" in failed["seen"]["en"]
    assert report.worst(made) is Grade.FAIL


def test_no_secret_of_the_device_is_in_it(made: dict[str, Any]) -> None:
    text = json.dumps(made)
    assert TOKEN not in text
    assert TOKEN.encode().hex() not in text


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_page_loads_nothing_and_has_both_languages(made: dict[str, Any], language: str) -> None:
    page = html.render(made, language).decode()
    assert not {"<script", "src=", "http:", "https:", "url(", "@import"} & set(page.split())
    assert "//" not in page.replace("--", "")
    assert "拒绝越界的整数" in page
    assert "Integers out of range are refused" in page
    assert f'id="{language}" checked' in page


def test_the_xml_is_read_by_build_servers(made: dict[str, Any]) -> None:
    hostile = copy.deepcopy(made)
    hostile["checks"][0]["seen"]["en"] = "\x1b[2J<&>\x00"
    root = ET.fromstring(junit.render(hostile, "en"))
    (suite,) = root
    assert (suite.get("failures"), suite.get("tests")) == ("1", str(len(made["checks"])))
    assert len(root.findall(".//failure")) == 1


def test_a_report_is_signed_and_each_change_is_found(
    made: dict[str, Any], certificates: ca.Certificates
) -> None:
    whole = made | {"signature": sign(made, certificates)}
    authority = certificates.ca.read_bytes()
    read = report.read(json.dumps(whole, indent=3).encode(), "report.json")
    assert "story-cloud" in verify(read, authority)
    changes: tuple[dict[str, Any], ...] = ({"seed": 2}, {"counts": {}}, {"checks": []})
    for change in changes:
        with pytest.raises(StagingError, match="was changed after it was signed"):
            verify(whole | change, authority)
    with pytest.raises(StagingError, match="missing: the report is not signed"):
        verify(made, authority)
    with pytest.raises(StagingError, match="was not valid when"):
        verify(whole | {"startedMs": 1}, authority)


def test_a_signature_of_nobody_is_refused(
    made: dict[str, Any], certificates: ca.Certificates
) -> None:
    whole = made | {"signature": sign(made, certificates)}
    with pytest.raises(StagingError, match="this CA has not signed"):
        verify(whole, certificates.server.read_bytes())
    broken = whole | {"signature": whole["signature"] | {"certificate": "?"}}
    with pytest.raises(StagingError, match="cannot be read"):
        verify(broken, certificates.ca.read_bytes())


def test_what_a_new_firmware_broke_comes_first(made: dict[str, Any]) -> None:
    def of(**grades: str) -> dict[str, Any]:
        return {"checks": [{"id": name, "verdict": grade} for name, grade in grades.items()]}

    before = of(a="pass", b="fail", c="pass", d="warn", e="not applicable")
    after = of(a="warn", b="pass", c="pass", d="not applicable", f="pass")
    assert [(each.kind, each.id) for each in compare(before, after)] == [
        ("broke", "a"), ("other", "d"), ("other", "e"), ("other", "f"), ("mended", "b"),
    ]  # fmt: skip
    assert compare(made, made) == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"[]", "expected a JSON object"), (b"{}", "schema: got None, expected 1"),
     (b'{"schema": 1, "checks": [{"id": 1}]}', "checks: expected a list")],
)  # fmt: skip
def test_what_is_no_report_is_named(data: bytes, reason: str) -> None:
    with pytest.raises(StagingError, match=reason):
        report.read(data, "x.json")
