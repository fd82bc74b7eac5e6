"""Checks of control: the self-description, codes, values, repeats, many at once, and how long it takes."""

from __future__ import annotations

from collections.abc import Iterable

from staging.advise.checks.common import (
    all_read,
    all_refused,
    ending,
    in_zh,
    starting,
)
from staging.advise.checks.model import (
    Check,
    Text,
    Verdict,
    failed,
    inapplicable,
    passed,
    warned,
)
from staging.advise.record import ANSWERED, ENDED, Known, Probe, Trace
from wire.codes import Code
from wire.datapoints import parse_description, parse_self_description, parse_value
from wire.errors import WireError

CONTROL = "device-protocol.md, Link: Control"
DESCRIPTION = "open-api.md, 3.1"
# What a value that does not fit may be answered with.
REFUSALS = (Code.BAD_REQUEST, Code.TOO_LARGE)
# Seconds: what an app's user does not notice, and what the app waits.
SWIFT, LONGEST = 1.0, 10.0
# What cannot be done now, such as reading a battery that tells nothing.
UNAVAILABLE = Code.SERVICE_UNAVAILABLE


def described(trace: Trace, known: Known) -> Verdict:
    """Whether it describes itself in the document's form."""
    probe = trace.probes["describe"]
    if not known.described:
        if probe.code in {Code.NOT_FOUND, Code.METHOD_NOT_ALLOWED} or probe.outcome != ANSWERED:
            return inapplicable(
                "没有自描述（2017 年的固件都没有），按文档的四个数据点试",
                "no self-description (firmware of 2017 has none): tried with the document's four points",
            )
        return failed(f"读自描述得到 {probe}", f"the self-description was answered {probe}")
    try:
        parse_self_description(probe.payload)
    except WireError as error:
        return failed(str(error), str(error))
    names = ", ".join(str(point.get("name")) for point in known.points)
    return passed(
        f"{len(known.points)} 个数据点：{names}", f"{len(known.points)} data points: {names}"
    )


def reads(trace: Trace, known: Known) -> Verdict:
    """Whether each point that can be read is answered with a value that it may have."""
    wrong: list[tuple[str, str]] = []
    tried = 0
    for point in known.points:
        name = str(point.get("name"))
        probe = trace.probes.get(f"{name}: GET")
        if "GET" not in point.get("method", ()) or probe is None or probe.code == UNAVAILABLE:
            continue
        tried += 1
        if probe.code != Code.CONTENT:
            wrong.append((name, str(probe)))
        elif probe.payload and (fault := _fault(point, probe)):
            wrong.append((name, fault))
    if not tried:
        return inapplicable("没有可读的数据点", "no data point can be read")
    if wrong:
        name, why = wrong[0]
        return failed(
            f"{len(wrong)} 个不对，例如 {name}：{why}", f"{len(wrong)} wrong, such as {name}: {why}"
        )
    return passed(f"{tried} 个都读到了", f"all {tried} were read")


def _fault(point: dict[str, object], probe: Probe) -> str:
    try:
        parse_value(parse_description(point), probe.text)
    except WireError as error:
        # A string's bounds are the agent's own, which the description does not tell.
        return "" if point.get("type") == "string" else str(error)
    return ""


def sets(trace: Trace, known: Known) -> Verdict:
    """Whether a good value is set, and read back."""
    tried, wrong = 0, []
    for probe in ending(trace, ": good"):
        name = probe.name.removesuffix(": good")
        kind = next((each.get("type") for each in known.points if each.get("name") == name), "")
        # Which texts a string takes, its description does not tell: not always what it has.
        if probe.code == UNAVAILABLE or (kind == "string" and probe.code == Code.BAD_REQUEST):
            continue
        tried += 1
        after = trace.probes.get(f"{name}: GET after good")
        if probe.code != Code.CHANGED:
            wrong.append((name, str(probe)))
        elif after is None or after.text != trace.seen[f"{name}: set"]:
            told = "?" if after is None else after.text
            wrong.append((name, f"{trace.seen[f'{name}: set']} → {told}"))
    if not tried:
        return inapplicable("没有可设置的数据点", "no data point can be set")
    if wrong:
        name, why = wrong[0]
        return failed(
            f"{len(wrong)} 个不对，例如 {name}：{why}", f"{len(wrong)} wrong, such as {name}: {why}"
        )
    return passed(f"{tried} 个都设置并读回", f"all {tried} were set and read back")


def _refused(trace: Trace, zh: str, en: str, *names: str) -> Verdict:
    return all_refused(ending(trace, *(f": {name}" for name in names)), REFUSALS, zh, en)


def refuses_range(trace: Trace, _known: Known) -> Verdict:
    """Whether integers outside of the pattern are refused."""
    return _refused(trace, "越界的值", "values out of range", "below", "above", "far above")


def refuses_off_step(trace: Trace, _known: Known) -> Verdict:
    """Whether integers between two steps are refused."""
    return _refused(trace, "不在步进上的值", "values off the step", "off step")


def refuses_type(trace: Trace, _known: Known) -> Verdict:
    """Whether values of another type are refused."""
    return _refused(
        trace, "类型不对的值", "values of another type", "no number", "neither true nor false"
    )


def refuses_empty(trace: Trace, _known: Known) -> Verdict:
    """Whether an empty value is refused."""
    return _refused(trace, "空值", "empty values", "empty")


def refuses_huge(trace: Trace, known: Known) -> Verdict:
    """Whether a value of 1,500 bytes is refused, and does no harm."""
    whole = {str(point.get("name")) for point in known.points if point.get("type") == "string"}
    found = [
        probe for probe in ending(trace, ": huge")
        # A string may be that long where the maker wants it: then it must not be a fault.
        if not (probe.ok and probe.name.removesuffix(": huge") in whole)
    ]  # fmt: skip
    return all_refused(found, (*REFUSALS, Code.NOT_FOUND), "1500 字节的值", "values of 1,500 bytes")


def refuses_bytes(trace: Trace, _known: Known) -> Verdict:
    """Whether bytes that are no UTF-8 are refused."""
    return _refused(trace, "不是 UTF-8 的值", "values that are no UTF-8", "not UTF-8")


def refuses_controls(trace: Trace, _known: Known) -> Verdict:
    """Whether text with control characters is refused."""
    found = ending(trace, ": control character")
    wrong = [probe for probe in found if probe.ok]
    if not found:
        return inapplicable("没有字符串数据点", "no data point is a string")
    if wrong:
        return warned(f"{wrong[0].name} 被接受", f"{wrong[0].name} was taken")
    return passed("都被拒绝", "all were refused")


def wrong_changes_nothing(trace: Trace, _known: Known) -> Verdict:
    """Whether a data point has its value still after wrong ones."""
    tried = 0
    for probe in ending(trace, ": GET after wrong values"):
        name = probe.name.removesuffix(": GET after wrong values")
        before = trace.probes[f"{name}: GET"]
        # What plays changes by itself; an integer or a switch does not.
        if not before.ok or len(before.payload) > 5:
            continue
        tried += 1
        if probe.text != before.text:
            return failed(
                f"{name} 从 {before.text} 变成 {probe.text}",
                f"{name} was {before.text} and is {probe.text}",
            )
    if not tried:
        return inapplicable("没有可比的数据点", "no data point to compare")
    return passed(f"{tried} 个都没变", f"{tried} are as before")


def read_only(trace: Trace, _known: Known) -> Verdict:
    """Whether a point without PUT refuses one with 4.05."""
    return _codes(
        ending(trace, ": PUT, read only"),
        Code.METHOD_NOT_ALLOWED,
        "只读数据点的 PUT",
        "PUT of read-only points",
    )


def no_delete(trace: Trace, _known: Known) -> Verdict:
    """Whether DELETE is refused."""
    return _codes(ending(trace, ": DELETE"), Code.METHOD_NOT_ALLOWED, "DELETE", "DELETE")


def unknown_path(trace: Trace, _known: Known) -> Verdict:
    """Whether a path that does not exist is 4.04."""
    return _codes(starting(trace, "unknown path"), Code.NOT_FOUND, "不存在的路径", "unknown paths")


def _codes(probes: Iterable[Probe], code: Code, zh: str, en: str) -> Verdict:
    found = list(probes)
    if not found:
        return inapplicable(f"{zh}：没有可试的", f"{en}: nothing to try")
    done = [probe for probe in found if probe.ok]
    if done:
        return failed(
            f"{zh}：{done[0].name} 得到 {done[0]}", f"{en}: {done[0].name} was answered {done[0]}"
        )
    silent = [probe for probe in found if probe.outcome != ANSWERED]
    if any(probe.outcome == ENDED for probe in silent):
        return failed(f"{zh}：断开了连接", f"{en}: it ended the connection")
    if silent:
        return warned(
            f"{zh}：{silent[0].name} 没有回答", f"{en}: {silent[0].name} was not answered"
        )
    other = [probe for probe in found if probe.code != code]
    if other:
        return warned(
            f"{zh}：{other[0]}，应为 {code.dotted}", f"{en}: {other[0]}, {code.dotted} was expected"
        )
    return passed(
        f"{zh}：{len(found)} 个都答 {code.dotted}", f"{en}: all {len(found)} answered {code.dotted}"
    )


def at_once(trace: Trace, _known: Known) -> Verdict:
    """Whether 16 requests at once are all answered."""
    return all_read(starting(trace, "at once"), "同时的 16 个请求", "sixteen requests at once")


def in_order(trace: Trace, _known: Known) -> Verdict:
    """Whether the last of several orders is what holds."""
    value = trace.probes["value"]
    wrong = [probe for probe in starting(trace, "order ") if not probe.ok]
    if wrong:
        return failed(
            f"{len(wrong)} 个命令没有执行：{in_zh(wrong[0])}",
            f"{len(wrong)} orders failed: {wrong[0]}",
        )
    if value.text != trace.seen["expected"]:
        expected = trace.seen["expected"]
        return failed(
            f"最后是 {value.text}，应为 {expected}", f"it is {value.text}, not the last, {expected}"
        )
    return passed("最后一个命令有效", "the last order holds")


def swift(trace: Trace, _known: Known) -> Verdict:
    """Whether a read is answered soon."""
    found: list[float] = trace.seen["seconds"]
    if lost := starting(trace, "round trip "):
        return failed(f"{lost[0].name}：{in_zh(lost[0])}", f"{lost[0].name}: {lost[0]}")
    p50, p99 = found[len(found) // 2], found[-1]
    told = f"p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms"
    if p50 > LONGEST / 2:
        return failed(told, told)
    if p99 > SWIFT:
        return warned(told, told)
    return passed(told, told)


def not_late(trace: Trace, _known: Known) -> Verdict:
    """Whether an order is refused after its deadline."""
    late, value = trace.probes["late"], trace.probes["value after late"]
    if value.text != trace.seen["before"]:
        return failed("过期的命令还是执行了", "an order was carried out after its deadline")
    if late.outcome == ANSWERED and late.code != Code.SERVICE_UNAVAILABLE:
        return failed(f"过期的命令得到 {late}", f"an order after its deadline was answered {late}")
    return passed(f"没有执行：{in_zh(late)}", f"not carried out: {late}")


def once_by_id(trace: Trace, _known: Known) -> Verdict:
    """Whether an order that comes again on another connection is carried out once."""
    value, again = trace.probes["value"], trace.probes["again"]
    if value.text != trace.seen["expected"]:
        return failed("同一命令执行了两遍", "the same order was carried out twice")
    if not again.ok:
        return warned(f"重复时得到 {in_zh(again)}", f"repeated, it was answered {again}")
    return passed("执行一次，答两次", "carried out once, answered twice")


CHECKS = (
    Check(
        "control.described", Text("自描述", "The self-description"), DESCRIPTION,
        Text("GET /resource 按 3.1 节回答", "Answer GET /resource as section 3.1 has it"),
        "describe", described,
    ),
    Check(
        "control.reads", Text("读每个数据点", "Each data point is read"), f"{CONTROL}; {DESCRIPTION}",
        Text("可读的数据点用 2.05 和合乎类型、范围的值回答", "Answer 2.05 with a value of the type and in the range"),
        "sweep", reads,
    ),
    Check(
        "control.sets", Text("设置并读回", "What is set is read back"), f"{CONTROL}: 2.04 Changed",
        Text("PUT 成功答 2.04，之后 GET 读到新值", "Answer 2.04, and GET has the new value"),
        "sweep", sets,
    ),
    Check(
        "control.range", Text("拒绝越界的整数", "Integers out of range are refused"), f"{CONTROL}: 4.00; {DESCRIPTION}: pattern",
        Text("按 min 与 max 检查，答 4.00", "Check min and max, answer 4.00"),
        "sweep", refuses_range,
    ),
    Check(
        "control.step", Text("拒绝不在步进上的整数", "Integers off the step are refused"), f"{DESCRIPTION}: pattern.step",
        Text("按 step 检查，答 4.00", "Check step, answer 4.00"),
        "sweep", refuses_off_step,
    ),
    Check(
        "control.type", Text("拒绝类型不对的值", "Values of another type are refused"), f"{CONTROL}: 4.00; {DESCRIPTION}: type",
        Text("整数与布尔按类型解析，答 4.00", "Parse integers and booleans strictly, answer 4.00"),
        "sweep", refuses_type,
    ),
    Check(
        "control.empty", Text("拒绝空值", "An empty value is refused"), f"{CONTROL}: 4.00",
        Text("空负载答 4.00", "Answer an empty payload 4.00"),
        "sweep", refuses_empty,
    ),
    Check(
        "control.huge", Text("拒绝很长的值", "A huge value is refused"), f"{CONTROL}: 4.00; RFC 7252, section 5.9.2.9",
        Text("限制负载的长度，答 4.00 或 4.13", "Limit a payload's length, answer 4.00 or 4.13"),
        "sweep", refuses_huge,
    ),
    Check(
        "control.utf8", Text("拒绝不是 UTF-8 的值", "A value that is no UTF-8 is refused"), f"{CONTROL}: 4.00; RFC 3629",
        Text("检查 UTF-8，答 4.00", "Check UTF-8, answer 4.00"),
        "sweep", refuses_bytes,
    ),
    Check(
        "control.characters", Text("拒绝控制字符", "Control characters are refused"), "docs/data-points.md",
        Text("字符串里的控制字符答 4.00", "Answer text with control characters 4.00"),
        "sweep", refuses_controls,
    ),
    Check(
        "control.unchanged", Text("错误的值不改变什么", "Wrong values change nothing"), CONTROL,
        Text("先检查，再改变", "Check first, then change"),
        "sweep", wrong_changes_nothing,
    ),
    Check(
        "control.read-only", Text("只读数据点", "A read-only data point"), f"{CONTROL}: 4.05; {DESCRIPTION}: method",
        Text("没有 PUT 的数据点答 4.05", "Answer PUT 4.05 where the description has none"),
        "sweep", read_only,
    ),
    Check(
        "control.methods", Text("没有的方法", "A method that there is not"), f"{CONTROL}: 4.05; RFC 7252, section 5.8",
        Text("不支持的方法答 4.05", "Answer methods that it does not have 4.05"),
        "sweep", no_delete,
    ),
    Check(
        "control.unknown", Text("没有的路径", "A path that there is not"), f"{CONTROL}: 4.04",
        Text("不存在的路径答 4.04", "Answer unknown paths 4.04"),
        "sweep", unknown_path,
    ),
    Check(
        "control.at-once", Text("同时 16 个请求", "Sixteen requests at once"), "docs/link.md, Faults: 16 at once",
        Text("排队处理，逐个回答", "Queue them, and answer each"),
        "burst", at_once,
    ),
    Check(
        "control.order", Text("命令按次序执行", "Orders in their order"), "docs/link.md, A command",
        Text("按到达的次序执行 PUT", "Carry PUTs out in the order of their arrival"),
        "burst", in_order,
    ),
    Check(
        "control.swift", Text("来回的时间", "Round trips"), "docs/link.md, A command: the app waits 10 s",
        Text("一秒内回答；不要等闪存或 Nagle", "Answer within a second; wait for no flash, and set TCP_NODELAY"),
        "times", swift,
    ),
    Check(
        "control.late", Text("过期的命令", "A late order"), "docs/link.md, A command; docs/adr/0033",
        Text("过期答 5.03，不执行", "Answer 5.03 after the deadline, and do not carry it out"),
        "terms", not_late,
    ),
    Check(
        "control.once", Text("换了连接的重复命令", "An order that comes again on another connection"),
        "docs/link.md, A command; docs/adr/0033",
        Text("记住命令的 id 与回答", "Remember the ids of orders, and their answers"),
        "terms", once_by_id,
    ),
)  # fmt: skip
