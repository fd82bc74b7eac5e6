"""Checks of reports: their form, what they tell, and that none is lost, doubled or invented."""

from __future__ import annotations

from collections.abc import Iterator

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
from staging.advise.record import Arrival, Known, Trace
from wire.errors import WireError
from wire.reports import parse_report_query

REPORT = "device-protocol.md, Link: Report"
# Reports in eight seconds of a device that has nothing to say: one alive, and one by chance.
IDLE_MOST = 3
# How often a report may come that the cloud refused for good.
REFUSED_MOST = 2
# Seconds below which a repeat is a storm.
REPEAT_LEAST = 0.1


def _reports(trace: Trace) -> list[Arrival]:
    return [each for each in trace.arrivals if each.kind in {"report", "voice"}]


def query(trace: Trace, known: Known) -> Verdict:
    """Whether each report says whose it is."""
    if known.link == "mqtt":
        return inapplicable("MQTT 由代理认人", "over MQTT the broker knows whose it is")
    found = _reports(trace)
    for each in found:
        try:
            told = parse_report_query(each.query)
        except WireError as error:
            return failed(str(error), str(error))
        if told.uuid.lower() != known.uuid or told.token != known.token:
            return failed("deviceUuid 或 token 不对", "deviceUuid or token are not this device's")
    if not found:
        return inapplicable("没有上报", "it reported nothing")
    return passed(f"{len(found)} 条都对", f"all {len(found)} are right")


def form(trace: Trace, _known: Known) -> Verdict:
    """Whether each report is an object with ``data``."""
    found = _reports(trace)
    for each in found:
        if not each.data:
            return failed("负载里没有非空的 data 对象", "a payload has no object data with a key")
    if not found:
        return inapplicable("没有上报", "it reported nothing")
    return passed(f"{len(found)} 条都对", f"all {len(found)} are right")


def tells(trace: Trace, _known: Known) -> Verdict:
    """Whether a value that was set is reported."""
    name, sets = trace.seen["point"], trace.seen["sets"]
    told = [str(value) for _, value in trace.told(name)]
    missing = [value for value in sets if value not in told]
    if not told:
        return failed(f"设置了 {name}，一次也没有上报", f"{name} was set, and never reported")
    if told[-1] != sets[-1]:
        return failed(
            f"{name} 是 {sets[-1]}，最后上报的是 {told[-1]}",
            f"{name} is {sets[-1]}, last reported {told[-1]}",
        )
    if missing:
        return warned(f"没有上报 {', '.join(missing)}", f"{', '.join(missing)} was not reported")
    return passed(f"{name}：{', '.join(told)}", f"{name}: {', '.join(told)}")


def in_order(trace: Trace, _known: Known) -> Verdict:
    """Whether values are reported in the order in which they were set."""
    name, sets = trace.seen["point"], trace.seen["sets"]
    told = list(dict.fromkeys(str(value) for _, value in trace.told(name)))
    if not told:
        return inapplicable("没有上报", "it reported nothing")
    # The last one, which was there before too, may come anywhere else.
    places = [sets.index(value) for value in told if value in sets[:-1]]
    if places != sorted(places):
        return failed(f"次序是 {', '.join(told)}", f"the order was {', '.join(told)}")
    return passed("次序不变", "in the order in which they were set")


def invents_nothing(trace: Trace, _known: Known) -> Verdict:
    """Whether nothing is reported that was never so."""
    name, sets = trace.seen["point"], trace.seen["sets"]
    strange = [str(value) for _, value in trace.told(name) if str(value) not in sets]
    if strange:
        return failed(f"{name} 从来不是 {strange[0]}", f"{name} was never {strange[0]}")
    return passed("没有编造的值", "nothing was invented")


def types(trace: Trace, known: Known) -> Verdict:
    """Whether reported values have their data point's type."""
    kinds = {str(point.get("name")): point.get("type") for point in known.points}
    count = 0
    for each in _reports(trace):
        for name, value in each.data.items():
            if name not in kinds:
                continue
            count += 1
            if not _fits(kinds[name], value):
                return failed(f"{name} 是 {value!r}", f"{name} is {value!r}")
    if not count:
        return inapplicable("没有上报数据点", "it reported no data point")
    return passed(f"{count} 个值都对", f"all {count} values are right")


def _fits(kind: object, value: object) -> bool:
    text = str(value).lower()
    match kind:
        case "int":
            return text.lstrip("-").isdigit()
        case "bool":
            return text in {"true", "false", "0", "1"}
        case _:
            return isinstance(value, str)


def rests(trace: Trace, _known: Known) -> Verdict:
    """Whether a device that has nothing to say is quiet."""
    count = len(trace.seen["idle"])
    if count > 4 * IDLE_MOST:
        return failed(f"八秒里 {count} 条", f"{count} messages in eight idle seconds")
    if count > IDLE_MOST:
        return warned(f"八秒里 {count} 条", f"{count} messages in eight idle seconds")
    return passed(f"八秒里 {count} 条", f"{count} messages in eight idle seconds")


def numbers(trace: Trace, _known: Known) -> Verdict:
    """Whether each report has a number of its own."""
    found = [each for each in _reports(trace) if each.number is not None]
    if not found:
        return inapplicable("不会编号", "it does not number its reports")
    seen: dict[tuple[str, int], bytes] = {}
    for each, number in _numbered(found):
        if seen.setdefault(number, each.payload) != each.payload:
            return failed(
                f"两条不同的上报都是 {number[1]} 号", f"two reports have the number {number[1]}"
            )
    # Not in the order of their arrival: the newest value of a data point may come first (docs/adr/0034).
    values = [number[1] for _, number in _numbered(found)]
    return passed(f"{min(values)} 到 {max(values)}", f"{min(values)} to {max(values)}")


def _numbered(found: list[Arrival]) -> Iterator[tuple[Arrival, tuple[str, int]]]:
    for each in found:
        if each.number is not None:
            yield each, each.number


def repeats_busy(trace: Trace, _known: Known) -> Verdict:
    """Whether a report that the cloud could not take comes again, after a wait."""
    found: list[Arrival] = trace.seen["busy"]
    if not found:
        return inapplicable("没有上报", "it reported nothing")
    if len(found) < 2:
        return failed("得到 5.03 后没有再报", "after 5.03 it did not report again")
    wait = found[1].at - found[0].at
    if wait < REPEAT_LEAST:
        return failed(f"{wait:.2f} s 后就重报", f"it reports again after {wait:.2f} s")
    return passed(f"{seconds(wait)} 后重报", f"reported again after {seconds(wait)}")


def drops_refused(trace: Trace, _known: Known) -> Verdict:
    """Whether a report that the cloud refuses for good does not block the others."""
    found: list[Arrival] = trace.seen["refused"]
    if not found:
        return inapplicable("没有上报", "it reported nothing")
    if len(found) > REFUSED_MOST:
        return failed(
            f"被拒绝的上报来了 {len(found)} 次", f"the refused report came {len(found)} times"
        )
    if trace.seen["refused: ended"]:
        return warned("被拒绝后断开了连接", "it ended the connection for it")
    return passed("不再重报", "it does not come again")


def survives_cut(trace: Trace, _known: Known) -> Verdict:
    """Whether a report whose answer was lost comes again."""
    first, again = trace.seen["first"], trace.seen["again"]
    if first is None:
        return inapplicable("没有上报", "it reported nothing")
    name = trace.seen["point"]
    if again is None:
        if not first.confirmable:
            return warned("用 NON 上报，丢了就没了", "it reports by NON, and what is lost is lost")
        return failed("没有得到回答的上报没有再来", "a report without an answer did not come again")
    if str(again.data[name]) != str(first.data[name]):
        return failed(f"再来时变成 {again.data[name]}", f"it came again as {again.data[name]}")
    return passed("换了连接再报一次", "reported again on the next connection")


def same_number(trace: Trace, _known: Known) -> Verdict:
    """Whether a report that comes again has its number of before."""
    first, again = trace.seen["first"], trace.seen["again"]
    if first is None or again is None or first.number is None:
        return inapplicable("没有编号的重报", "there was no repeat with a number")
    if again.number != first.number:
        return failed(
            f"{first.number[1]} 号变成 {again.number}",
            f"number {first.number[1]} became {again.number}",
        )
    return passed(f"还是 {first.number[1]} 号", f"still number {first.number[1]}")


def ignores_clock(trace: Trace, _known: Known) -> Verdict:
    """Whether a cloud that tells a time of long ago does no harm."""
    if not trace.seen["registered"]:
        return failed("没有注册", "it did not register")
    if not trace.probes["read"].ok or not trace.seen["held"]:
        return failed("听到 1999 年后不再工作", "it stops working when the cloud says 1999")
    return passed("照常工作", "it goes on")


CHECKS = (
    Check(
        "reports.query", Text("上报带着身份", "A report says whose it is"), f"{REPORT}: deviceUuid, token",
        Text("每条上报带 deviceUuid 与 token 两个 Uri-Query", "Give each report the two Uri-Query options"),
        "changed", query,
    ),
    Check(
        "reports.form", Text("上报的格式", "The form of a report"), f'{REPORT}: {{"data": {{...}}}}',
        Text('负载是 {"data": {…}}', 'The payload is {"data": {…}}'),
        "changed", form,
    ),
    Check(
        "reports.tells", Text("变化都上报", "Changes are reported"), "device-protocol.md, Report keys: any other key",
        Text("数据点改变后上报新值", "Report a data point's new value"),
        "changed", tells,
    ),
    Check(
        "reports.order", Text("上报的次序", "The order of reports"), "open-api.md, 4.2",
        Text("按发生的次序上报", "Report in the order in which things happened"),
        "changed", in_order,
    ),
    Check(
        "reports.invents-nothing", Text("不编造", "Nothing is invented"), "open-api.md, 4.2",
        Text("只上报真有过的值", "Report values that really were"),
        "changed", invents_nothing,
    ),
    Check(
        "reports.types", Text("值的类型", "The types of values"), "open-api.md, 3.1: type",
        Text("值合乎数据点的类型", "Report values of the data point's type"),
        "changed", types,
    ),
    Check(
        "reports.rests", Text("没事不说话", "Quiet where there is nothing to say"), REPORT,
        Text("没有变化就只报 alive", "Report alive alone where nothing changes"),
        "changed", rests,
    ),
    Check(
        "reports.numbers", Text("编号", "Numbers"), "docs/adr/0034; docs/architecture.md, A report",
        Text("每条上报一个自己的号", "Give each report a number of its own"),
        "changed", numbers,
    ),
    Check(
        "reports.busy", Text("云端忙时重报", "Again when the cloud was busy"), "RFC 7252, section 5.9.3.4; docs/adr/0034",
        Text("5.03 后等一下再报", "After 5.03 wait, and report again"),
        "busy", repeats_busy,
    ),
    Check(
        "reports.refused", Text("被拒绝的不再报", "Not again when it was refused"), "RFC 7252, section 5.9.2",
        Text("4.xx 后丢掉这一条", "After 4.xx drop that report"),
        "busy", drops_refused,
    ),
    Check(
        "reports.cut", Text("断线不丢上报", "A cut loses no report"), "docs/adr/0034",
        Text("得到回答之前留着上报", "Keep a report until it is answered"),
        "cut report", survives_cut,
    ),
    Check(
        "reports.same-number", Text("重报用同一个号", "A repeat has its number of before"), "docs/adr/0034",
        Text("重报时号不变", "Do not number a repeat anew"),
        "cut report", same_number,
    ),
    Check(
        "reports.clock", Text("云端的钟错了", "A cloud with a wrong clock"), "docs/adr/0009",
        Text("不要让云端的时间停住设备", "Let no time that a cloud tells stop the device"),
        "old clock", ignores_clock,
    ),
)  # fmt: skip
