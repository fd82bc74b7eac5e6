"""Numbered reports: what lets a cloud drop a report that it has already (docs/adr/0034).

A cloud that reads ``number`` (`wire.abilities`) gets two members beside ``data``: ``epoch``, a random
name for one start of the agent, and ``number``, which counts up within it. A report that is sent
again has the same two, whatever happened between, so the cloud can tell a repeat from a new report.

A cloud that reads ``batch`` too gets many reports in one request,
``{"epoch": …, "reports": [{"number": …, "data": …, "time": …, "late": true}, …]}``, and not in order:
the newest value of each data point comes first. ``time`` is when the report was made (UTC, ms), and
``late`` marks a value that was replaced by one which the cloud has got before it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from wire.errors import FieldError
from wire.fields import dump_object, get_int, get_object, get_string, is_object, parse_object
from wire.records import dataclass

# 64 random bits: two starts of one device never share it.
EPOCH_PATTERN = re.compile(r"[0-9a-f]{16}")
# As many as fill about 8 KiB with small values: a batch is one transaction of the cloud.
BATCH_MAX = 128


@dataclass(frozen=True, slots=True)
class NumberedReport:
    """One report: ``data`` as in the device protocol, and what identifies it within its epoch.

    Attributes:
        number: counts up within the epoch, from 1.
        data: the report's keys and values.
        time: when the report was made, UTC in ms; None if the device did not know.
        late: whether a newer value of the same key was delivered before.
    """

    number: int
    data: Mapping[str, object]
    time: int | None = None
    late: bool = False

    def to_json(self) -> dict[str, object]:
        """Build the members of this report."""
        members: dict[str, object] = {"data": self.data, "number": self.number}
        if self.time is not None:
            members["time"] = self.time
        if self.late:
            members["late"] = True
        return members


@dataclass(frozen=True, slots=True)
class ReportBatch:
    """The reports of one request; all are of one epoch, and None is that of a cloud of old."""

    epoch: str | None
    reports: Sequence[NumberedReport]
    is_batch: bool = False
    """Whether they came as a batch, of which the cloud answers each on its own."""


def numbered_payload(epoch: str, report: NumberedReport) -> bytes:
    """Build the payload of one numbered report."""
    return dump_object({**report.to_json(), "epoch": epoch})


def batch_payload(epoch: str, reports: Sequence[NumberedReport]) -> bytes:
    """Build the payload of a batch of reports."""
    return dump_object({"epoch": epoch, "reports": [report.to_json() for report in reports]})


def refusals_payload(refused: Mapping[int, str]) -> bytes:
    """Build the answer to a batch: why which reports were refused, by number; empty without any."""
    if not refused:
        return b""
    return dump_object({"refused": {str(number): why for number, why in refused.items()}})


def parse_refusals(payload: bytes) -> dict[int, str]:
    """Parse the answer to a batch; raises WireError that names the member."""
    if not payload:
        return {}
    source = parse_object(payload, "batch's answer")
    refused = get_object(source, "refused") if "refused" in source else {}
    return {_number(name): str(why) for name, why in refused.items()}


def _number(name: str) -> int:
    if not (name.isascii() and name.isdigit() and len(name) <= 18):
        raise FieldError("refused", name, "numbers of reports")
    return int(name)


def parse_reports(payload: bytes) -> ReportBatch:
    """Parse the payload of a report or of a batch; raises WireError that names the member."""
    source = parse_object(payload, "report")
    if "reports" in source:
        return ReportBatch(_parse_epoch(source), _parse_batch(source["reports"]), is_batch=True)
    if "number" not in source:
        return ReportBatch(None, [NumberedReport(0, _parse_data(source, ""))])
    return ReportBatch(_parse_epoch(source), [_parse_report(source, "")])


def _parse_batch(reports: object) -> list[NumberedReport]:
    if not isinstance(reports, list) or not 0 < len(reports) <= BATCH_MAX:
        expected = f"a list of 1 to {BATCH_MAX} reports"
        raise FieldError("reports", reports, expected, secret=True)
    found = []
    for place, report in enumerate(reports):
        if not is_object(report):
            raise FieldError(f"reports.{place}", report, "a JSON object", secret=True)
        found.append(_parse_report(report, f"reports.{place}."))
    return found


def _parse_report(source: Mapping[str, object], path: str) -> NumberedReport:
    late = source.get("late", False)
    if not isinstance(late, bool):
        raise FieldError(f"{path}late", late, "true or false")
    time = get_int(source, "time", path=path) if "time" in source else None
    number = get_int(source, "number", path=path, low=1)
    return NumberedReport(number, _parse_data(source, path), time, late)


def _parse_data(source: Mapping[str, object], path: str) -> dict[str, object]:
    data = get_object(source, "data", path=path, secret=True)
    if not data:
        raise FieldError(f"{path}data", data, "an object with at least one key")
    return data


def _parse_epoch(source: Mapping[str, object]) -> str:
    epoch = get_string(source, "epoch")
    if not EPOCH_PATTERN.fullmatch(epoch):
        raise FieldError("epoch", epoch, "16 hexadecimal digits, in lower case")
    return epoch
