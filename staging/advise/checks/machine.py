"""Checks of what goes wrong at the machine itself: killed, frozen, a worn card."""

from __future__ import annotations

from staging.advise.checks.common import seconds
from staging.advise.checks.model import (
    Check,
    Text,
    Verdict,
    failed,
    inapplicable,
    passed,
    warned,
)
from staging.advise.orders import NOTHING, Lacking
from staging.advise.record import ANSWERED, Known, Trace

# Seconds after which a machine that was killed is back with its supervisor's wait and its start; the bound of what is no failure.
SOON_SECONDS, BACK_SECONDS = 25.0, 70.0
# Seconds after which a process that went on answers.
AWAKE_SECONDS = 12.0
HELPED = "docs/advisor.md, Faults at the machine"


def _back(trace: Trace) -> Verdict:
    found: float | None = trace.seen["back"]
    if found is None:
        return failed("没有回来", "it did not come back")
    if found > BACK_SECONDS:
        return failed(f"{seconds(found)} 后才回来", f"it was back after {seconds(found)}")
    if found > SOON_SECONDS:
        return warned(f"{seconds(found)} 后才回来", f"it was back after {seconds(found)}")
    return passed(f"{seconds(found)} 后重新注册", f"registered again after {seconds(found)}")


def back_after_kill(trace: Trace, _known: Known) -> Verdict:
    """Whether a machine whose process was killed is there again soon."""
    return _back(trace)


def order_kept(trace: Trace, _known: Known) -> Verdict:
    """Whether what was answered with success is so after a kill."""
    order, value, expected = trace.probes["order"], trace.probes["value"], trace.seen["expected"]
    if not order.ok:
        return inapplicable(f"命令没有成功（{order}）", f"the order was not taken ({order})")
    if not value.ok:
        return failed(f"之后读不到（{value}）", f"it cannot be read afterwards ({value})")
    if value.text != expected:
        told = f"答了 2.04，被杀后是 {value.text}，不是 {expected}"
        return failed(
            told, f"it answered 2.04, and after the kill has {value.text}, not {expected}"
        )
    return passed(f"仍是 {expected}", f"it still has {expected}")


def report_kept(trace: Trace, _known: Known) -> Verdict:
    """Whether a report that nobody has answered comes again after a kill."""
    expected, again = trace.seen["expected"], trace.seen["again"]
    if not trace.seen["reported"]:
        return inapplicable("它不上报这个数据点", "it does not report this data point")
    if expected not in again:
        return failed(f"{expected} 没有再报", f"{expected} was not reported again")
    return passed(f"{expected} 再次上报", f"{expected} was reported again")


def update_ends(trace: Trace, _known: Known) -> Verdict:
    """Whether an update in which the machine was killed has one end, and changes nothing."""
    nothing: Lacking | None = trace.seen.get(NOTHING)
    if nothing is not None:
        return inapplicable(f"不能给它升级包（{nothing}）", f"no package can be offered: {nothing}")
    if not trace.seen["running"]:
        return inapplicable("被杀时没有在升级", "no update was under way when it was killed")
    if trace.seen["back"] is None:
        return failed("没有回来", "it did not come back")
    ends, before, after = (trace.seen[name] for name in ("ends", "version", "afterwards"))
    if len(ends) != 1:
        return failed(f"{len(ends)} 个终局：{ends}", f"{len(ends)} ends: {ends}")
    if before and after != before:
        return failed(
            f"之后运行 {after}", f"afterwards it runs {after}, a package that was damaged"
        )
    return passed(f"一个终局 {ends[0]}", f"one end, event {ends[0]}")


def wakes(trace: Trace, _known: Known) -> Verdict:
    """Whether a process that stood still is of use again when it goes on."""
    if trace.probes["while it stands still"].outcome == ANSWERED:
        return inapplicable(
            "停住时还在回答：停的是别的进程",
            "it answered while it stood still: another process did",
        )
    probe, after = trace.probes["afterwards"], trace.seen["after"]
    if not probe.ok:
        return failed(f"之后不回答（{probe}）", f"it does not answer afterwards ({probe})")
    if after > AWAKE_SECONDS:
        return warned(f"{seconds(after)} 后才回答", f"it answered after {seconds(after)}")
    return passed(f"{seconds(after)} 后回答", f"it answered after {seconds(after)}")


def survives_card(trace: Trace, _known: Known) -> Verdict:
    """Whether a machine works on a card that lost some bits."""
    found = _back(trace)
    if trace.seen["back"] is None:
        return found
    probe = trace.probes["afterwards"]
    if not probe.ok:
        return failed(f"回来后不回答（{probe}）", f"it is back, and does not answer ({probe})")
    return found


CHECKS = (
    Check(
        "faults.back", Text("被杀后回来", "Back after a kill -9"), f"{HELPED}; docs/link.md",
        Text("让系统重启进程，并马上连接", "Let the system start the process again, and connect at once"), "killed", back_after_kill,
    ),
    Check(
        "faults.order", Text("答应了的命令不丢", "What was answered is so"), f"{HELPED}; device-protocol.md, Link: Control: 2.04 Changed",
        Text("回答后几秒内存好", "Store it within seconds of the answer"), "killed", order_kept,
    ),
    Check(
        "faults.report", Text("没有回答的上报不丢", "A report that was not answered is kept"), f"{HELPED}; docs/adr/0034",
        Text("上报先存好，答了再删", "Store a report, and forget it when it was answered"), "killed", report_kept,
    ),
    Check(
        "faults.update", Text("升级中被杀", "A kill in an update"), f"{HELPED}; device-protocol.md, OTA order: Event numbers",
        Text("启动时为没做完的升级报一个终局", "Tell one end of an update that was under way, at the start"), "killed update", update_ends,
    ),
    Check(
        "faults.wakes", Text("停住后醒来", "Of use after it stood still"), f"{HELPED}; docs/link.md, A silence",
        Text("醒来后回答或重连", "Answer or connect again when it goes on"), "frozen", wakes,
    ),
    Check(
        "faults.card", Text("卡坏了几位", "Some bits of the card"), f"{HELPED}; docs/fault-bench.md, card",
        Text("读不懂的文件换成默认值，并上报", "Replace a file that cannot be read by its default, and report it"), "worn", survives_card,
    ),
)  # fmt: skip
