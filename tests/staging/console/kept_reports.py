"""Two reports of the advisor on a cloud's shelf, for tests, the proof and the screenshots of its page."""

from __future__ import annotations

from pathlib import Path

from staging.advise import catalogue, report, sign
from staging.advise.record import Known
from staging.advise.shelf import Shelf
from staging.advise.visit import write
from staging.identity import ca
from tests.staging.advise.rig import advise
from tests.staging.advise.twin_points import TOKEN

BEFORE, AFTER = 1790000000000, 1790000001000


def keep_reports(root: Path, uuid: str, at: int = AFTER) -> int:
    """Put two reports on a cloud's shelf, signed where it has a certificate; in the later one, of ``at``, integers out of range are taken.

    Returns the later one's number.
    """
    certificates = ca.locate(root / "ca")
    for made_at, fault in ((at - AFTER + BEFORE, ""), (at, "control.range")):
        known = Known(uuid, TOKEN, version="1.0")
        outcome = advise(fault, catalogue.select("control"))
        made = report.build(outcome, known, suite="control", seed=7, started_ms=made_at)
        if certificates.server.exists():
            made["signature"] = sign.sign(made, certificates)
        write(made, Shelf(root).folder(uuid, made_at), "en")
    return at
