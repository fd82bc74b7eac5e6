"""Checks of what goes wrong at the machine itself: killed, frozen, a worn card, a full or read-only disk, a wrong clock, no sound."""

from __future__ import annotations

from staging.advise.checks.common import seconds
from staging.advise.checks.model import (
    Check,
    Grade,
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


def survives(trace: Trace, _known: Known) -> Verdict:
    """Whether a machine is back after a fault at its start (some bits of the card, a full disk), and answers."""
    found = _back(trace)
    if trace.seen["back"] is None:
        return found
    probe = trace.probes["afterwards"]
    if not probe.ok:
        return failed(f"回来后不回答（{probe}）", f"it is back, and does not answer ({probe})")
    return found


def works_full(trace: Trace, _known: Known) -> Verdict:
    """Whether a machine answers while its disk is full, and works when there is room again."""
    for name, zh in (("order", "命令"), ("while it is full", "读取")):
        probe = trace.probes[name]
        if probe.outcome != ANSWERED:
            told = f"disk full, {name}: {probe}"
            return failed(f"盘满时{zh}没有回答（{probe}）", told)
    after = trace.probes["with room"]
    if not after.ok:
        return failed(
            f"有空间后命令不成（{after}）", f"with room again an order is not taken ({after})"
        )
    if not trace.seen["reported"]:
        return failed(
            "有空间后的变化没有上报", "what changed when there was room again was not reported"
        )
    order = trace.probes["order"]
    return passed(f"盘满时命令得 {order}", f"disk full: an order is answered {order}")


def full_is_so(trace: Trace, _known: Known) -> Verdict:
    """Whether what was answered with success while the disk was full was stored when there was room again."""
    if trace.seen["back"] is None:
        return inapplicable("没有回来", "it did not come back")
    order, value, expected = (
        trace.probes["order"],
        trace.probes["afterwards"],
        trace.seen["expected"],
    )
    if not order.ok:
        return passed(f"盘满时命令得 {order}", f"disk full: the order was refused ({order})")
    if value.text != expected:
        told = f"it answered {order} while its disk was full; after a kill, with room before, it has {value.text}, not {expected}"
        zh = f"盘满时答了 {order}，有空间后被杀，是 {value.text}，不是 {expected}"
        return failed(zh, told)
    return passed(f"仍是 {expected}", f"it still has {expected}")


def works_read_only(trace: Trace, known: Known) -> Verdict:
    """Whether a machine starts on a disk that can only be read, and answers there."""
    found = survives(trace, known)
    if found.grade is Grade.FAIL:
        return found
    order = trace.probes["order"]
    if order.outcome != ANSWERED:
        return failed(f"命令没有回答（{order}）", f"an order is not answered ({order})")
    if trace.seen["anew"] is None:
        return failed("能写以后没有回来", "it did not come back when the disk could be written")
    return found


def clock_orders(trace: Trace, _known: Known) -> Verdict:
    """Whether orders in time are taken by a machine whose clock is wrong."""
    if trace.seen["back"] is None:
        return inapplicable("没有回来", "it did not come back")
    order = trace.probes["order"]
    if not order.ok:
        return failed(f"没有过期的命令得 {order}", f"an order in time is answered {order}")
    return passed(f"没有过期的命令得 {order}", f"an order in time is answered {order}")


def works_silent(trace: Trace, _known: Known) -> Verdict:
    """Whether a machine answers while its sound server is dead, and keeps its connection."""
    for name, zh in (("order", "音量命令"), ("play", "播放命令"), ("afterwards", "读取")):
        probe = trace.probes.get(name)
        if probe is not None and probe.outcome != ANSWERED:
            return failed(
                f"没有声音服务器时{zh}没有回答（{probe}）", f"no sound server, {name}: {probe}"
            )
    if trace.seen["ended"]:
        return failed("断开了连接", "it ended its connection")
    told = ", ".join(
        f"{name} {trace.probes[name]}"
        for name in ("order", "play", "put back")
        if name in trace.probes
    )
    return passed(f"都有回答：{told}", f"all was answered: {told}")


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
        Text("读不懂的文件换成默认值，并上报", "Replace a file that cannot be read by its default, and report it"), "worn", survives,
    ),
    Check(
        "faults.full", Text("盘满时能用", "Of use on a full disk"), f"{HELPED}; docs/fault-bench.md, disk_full",
        Text("存不下时也回答，有空间后继续", "Answer also where nothing can be stored, and go on when there is room"), "full", works_full,
    ),
    Check(
        "faults.full-order", Text("盘满时答应了的命令不丢", "What was answered on a full disk is so"), f"{HELPED}; device-protocol.md, Link: Control: 2.04 Changed",
        Text("存不下就拒绝，或留在内存里再存", "Refuse what cannot be stored, or keep it and store it when there is room"), "full start", full_is_so,
    ),
    Check(
        "faults.full-start", Text("盘满时能启动", "It starts on a full disk"), f"{HELPED}; docs/fault-bench.md, disk_full",
        Text("启动不要求写得成", "Start without having to write"), "full start", survives,
    ),
    Check(
        "faults.read-only", Text("只读的盘上能启动", "It starts on a read-only disk"), f"{HELPED}; docs/fault-bench.md, disk_read_only",
        Text("存不了也启动，并说出来", "Start also where nothing can be stored, and say so"), "read only", works_read_only,
    ),
    Check(
        "faults.clock", Text("时钟错了也能连上", "Back with a wrong clock"), f"{HELPED}; docs/adr/0009",
        Text("判断证书不用一个明显错的时钟", "Do not judge certificates by a clock that cannot be right"), "wrong clock", back_after_kill,
    ),
    Check(
        "faults.clock-order", Text("时钟错了也照命令做", "Orders with a wrong clock"), f"{HELPED}; docs/adr/0033",
        Text("用云端的时间判断命令过期没有", "Judge deadlines by the cloud's time"), "wrong clock", clock_orders,
    ),
    Check(
        "faults.sound", Text("没有声音服务器也能用", "Of use without its sound server"), f"{HELPED}; docs/fault-bench.md, sound_dead",
        Text("声音服务器没有回答时，命令仍要有回答", "Answer orders also while the sound server does not"), "no sound", works_silent,
    ),
)  # fmt: skip
