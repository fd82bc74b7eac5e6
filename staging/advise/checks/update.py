"""Checks of updates: which orders are taken, what is told of one, and that it has one end."""

from __future__ import annotations

from typing import Any

from staging.advise.checks.common import all_refused, in_zh, starting
from staging.advise.checks.model import Check, Text, Verdict, failed, inapplicable, passed
from staging.advise.orders import BEGIN, ENDS, INSTALLED
from staging.advise.record import ANSWERED, Known, Trace
from wire.codes import Code

ORDER = "device-protocol.md, OTA order"
WITH_PERCENT = frozenset({4, 7})


def _updates(trace: Trace) -> bool:
    probe = trace.probes["order"]
    return probe.outcome == ANSWERED and probe.code not in {Code.NOT_FOUND, Code.METHOD_NOT_ALLOWED}


def _none() -> Verdict:
    return inapplicable("不接受升级命令", "it takes no orders to update")


def _events(trace: Trace) -> list[dict[str, Any]]:
    return [
        each
        for each in trace.seen["events"]
        if each.get("transaction") == trace.seen["transaction"]
    ]


def refuses_unreadable(trace: Trace, _known: Known) -> Verdict:
    """Whether orders that cannot be read are refused."""
    if not _updates(trace):
        return _none()
    found = [probe for probe in starting(trace, "order: ") if probe.name != "order: older"]
    return all_refused(found, (Code.BAD_REQUEST,), "读不懂的升级命令", "orders that cannot be read")


def refuses_older(trace: Trace, _known: Known) -> Verdict:
    """Whether an older version is refused, by its answer or by an event."""
    if not _updates(trace):
        return _none()
    probe = trace.probes["order: older"]
    if probe.code == Code.CHANGED:
        told = [
            each.get("event")
            for each in trace.seen["events"]
            if each.get("transaction") == "advise-old"
        ]
        ends = [event for event in told if event in ENDS]
        if not ends or INSTALLED in ends:
            return failed("接受了更旧的版本", "it took an older version")
        return passed(f"事件 {ends[0]}", f"event {ends[0]}")
    return passed(in_zh(probe), str(probe))


def begins(trace: Trace, _known: Known) -> Verdict:
    """Whether an order that is taken is told with event 0 first."""
    if not _updates(trace):
        return _none()
    told = [each.get("event") for each in _events(trace)]
    if not told:
        return failed("接受了命令，却没有事件", "it took the order, and told no event")
    if told[0] != BEGIN:
        return failed(f"第一个事件是 {told[0]}", f"the first event is {told[0]}")
    return passed(f"事件 {told}", f"events {told}")


def ends_once(trace: Trace, _known: Known) -> Verdict:
    """Whether an update has exactly one end, and not success where there was no package."""
    if not _updates(trace):
        return _none()
    told = [each.get("event") for each in _events(trace)]
    ends = [event for event in told if event in ENDS]
    if INSTALLED in ends:
        return failed("没有包也报告成功", "it reports success without a package")
    if not ends:
        return failed("没有结束", "it has no end")
    if len(ends) > 1:
        return failed(f"结束了 {len(ends)} 次：{ends}", f"it ends {len(ends)} times: {ends}")
    return passed(f"以事件 {ends[0]} 结束", f"it ends with event {ends[0]}")


def percent(trace: Trace, _known: Known) -> Verdict:
    """Whether ``percent`` is between 0 and 1, with events 4 and 7 alone."""
    if not _updates(trace):
        return _none()
    for each in _events(trace):
        value = each.get("percent")
        right = isinstance(value, int | float) and 0 <= value <= 1
        if (each.get("event") in WITH_PERCENT) != ("percent" in each) or (
            "percent" in each and not right
        ):
            return failed(
                f"事件 {each.get('event')} 的 percent 是 {value}",
                f"event {each.get('event')} has percent {value}",
            )
    return passed("percent 都对", "percent is right")


def goes_on(trace: Trace, _known: Known) -> Verdict:
    """Whether it works after an update that failed."""
    if not _updates(trace):
        return _none()
    probe = trace.probes["afterwards"]
    if not probe.ok:
        return failed(f"失败的升级之后：{in_zh(probe)}", f"after an update that failed: {probe}")
    return passed("照常工作", "it goes on")


CHECKS = (
    Check(
        "update.unreadable", Text("拒绝读不懂的升级命令", "Unreadable orders are refused"), f"{ORDER}: 4.00 when it is not",
        Text("检查每个成员，不对就答 4.00", "Check each member, and answer 4.00"), "orders", refuses_unreadable,
    ),
    Check(
        "update.older", Text("拒绝更旧的版本", "An older version is refused"), "docs/ota.md, From order to report; open-api.md: 2007",
        Text("与正在运行的版本比较", "Compare it with the version that runs"), "orders", refuses_older,
    ),
    Check(
        "update.begins", Text("升级以事件 0 开始", "An update begins with event 0"), f"{ORDER}: Event numbers",
        Text("接受命令后先报事件 0", "Report event 0 first"), "orders", begins,
    ),
    Check(
        "update.one-end", Text("升级只结束一次", "An update has one end"), f"{ORDER}: Event numbers",
        Text("失败只报一个结束事件", "Report one event that ends it"), "orders", ends_once,
    ),
    Check(
        "update.percent", Text("percent", "percent"), "device-protocol.md, Report keys: percent 0..1 only with events 4 and 7",
        Text("只在事件 4 与 7 带 0 到 1 的 percent", "Give percent from 0 to 1 with events 4 and 7 alone"), "orders", percent,
    ),
    Check(
        "update.goes-on", Text("升级失败后照常工作", "It works after an update that failed"), "docs/ota.md, What each failure means",
        Text("失败后回到原来的版本", "Stay with the version that runs"), "orders", goes_on,
    ),
)  # fmt: skip
