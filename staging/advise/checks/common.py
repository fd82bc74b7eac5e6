"""What judges of several suites share: pure functions over records."""

from __future__ import annotations

from collections.abc import Iterable

from staging.advise.checks.model import Verdict, failed, inapplicable, passed
from staging.advise.record import ANSWERED, Probe, Trace
from wire.codes import Code


def dotted(probe: Probe) -> str:
    """Return a probe's outcome in a word."""
    return str(probe)


def in_zh(probe: Probe) -> str:
    """Return a probe's outcome in Chinese."""
    names = {"silent": "没有回答", "ended": "断开了连接", "reset": "复位（RST）"}
    return names.get(probe.outcome, str(probe))


def starting(trace: Trace, *names: str) -> list[Probe]:
    """Return the probes whose names begin with one of ``names``."""
    return [probe for name, probe in trace.probes.items() if name.startswith(names)]


def ending(trace: Trace, *names: str) -> list[Probe]:
    """Return the probes whose names end with one of ``names``."""
    return [probe for name, probe in trace.probes.items() if name.endswith(names)]


def all_read(probes: Iterable[Probe], zh: str, en: str) -> Verdict:
    """Judge that each of ``probes`` was answered with 2.05; the words say what they are."""
    found = list(probes)
    if not found:
        return inapplicable(f"{zh}：没有试", f"{en}: not tried")
    wrong = [probe for probe in found if probe.code != Code.CONTENT]
    if wrong:
        return failed(
            f"{zh}：{len(found)} 个中有 {len(wrong)} 个不对，例如 {wrong[0].name}：{in_zh(wrong[0])}",
            f"{en}: {len(wrong)} of {len(found)} wrong, such as {wrong[0].name}: {wrong[0]}",
        )
    return passed(f"{zh}：{len(found)} 个都答 2.05", f"{en}: all {len(found)} answered 2.05")


def all_refused(probes: Iterable[Probe], codes: Iterable[Code], zh: str, en: str) -> Verdict:
    """Judge that each of ``probes`` was answered with one of ``codes``."""
    found, allowed = list(probes), set(codes)
    if not found:
        return inapplicable(f"{zh}：这台设备没有可试的", f"{en}: the device has none to try")
    wrong = [probe for probe in found if probe.outcome != ANSWERED or probe.code not in allowed]
    if wrong:
        first = wrong[0]
        return failed(
            f"{zh}：{len(found)} 个中有 {len(wrong)} 个不对，例如 {first.name}：{in_zh(first)}",
            f"{en}: {len(wrong)} of {len(found)} wrong, such as {first.name}: {first}",
        )
    return passed(f"{zh}：{len(found)} 个都被拒绝", f"{en}: all {len(found)} refused")


def seconds(value: float) -> str:
    """Return seconds in few digits."""
    return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
