"""Checks of updates and trust: repositories that lie, what runs afterwards, and that each order has one end."""

from __future__ import annotations

from staging.advise.checks.common import in_zh
from staging.advise.checks.download import is_refused, nothing, of, started
from staging.advise.checks.model import Check, Text, Verdict, failed, inapplicable, passed, warned
from staging.advise.orders import BEGIN, DOWNLOADING, INSTALLED, INSTALLING, NOTHING, Ordered
from staging.advise.record import Known, Trace

ATTACKS = "docs/ota.md, Attacks"
TUF = "TUF specification 1.0, section 5"


def distrusts(order: Ordered, trace: Trace, known: Known) -> Verdict:
    """Whether nothing of a repository that lies is fetched or installed."""
    if order.asked:
        return failed(
            f"下载了不可信的包：{order.events}",
            f"it fetched a package that it must not trust: {order.events}",
        )
    return is_refused(order, trace, known)


def other_bytes(order: Ordered, trace: Trace, known: Known) -> Verdict:
    """Whether a file that is not the signed one is not installed."""
    if INSTALLING in order.events:
        return failed(
            f"开始装不是签名的那个文件：{order.events}",
            f"it begins to install a file that is not the signed one: {order.events}",
        )
    return is_refused(order, trace, known)


def each_ends(trace: Trace, _known: Known) -> Verdict:
    """Whether each order that was taken has ended exactly once."""
    if NOTHING in trace.seen:
        return nothing(trace)
    found: list[Ordered] = trace.seen["all"]
    if not found:
        return inapplicable("没有接受命令", "it took no order")
    for each in found:
        if len(each.ends) != 1:
            return failed(
                f"{each.name}：结束了 {len(each.ends)} 次：{each.events}",
                f"{each.name}: it ends {len(each.ends)} times: {each.events}",
            )
    return passed(f"{len(found)} 个命令各结束一次", f"each of {len(found)} orders has one end")


def stays(trace: Trace, known: Known) -> Verdict:
    """Whether the version that ran before runs after all these orders."""
    if NOTHING in trace.seen:
        return nothing(trace)
    if not trace.seen["all"]:
        return inapplicable("没有接受命令", "it took no order")
    probe = trace.probes["read"]
    if not probe.ok:
        return failed(f"之后读：{in_zh(probe)}", f"read afterwards: {probe}")
    if not known.version:
        return inapplicable("没有说过版本", "it has told no version")
    if len(set(known.versions)) > 1:
        told = ", ".join(known.versions)
        return failed(f"版本变了：{told}", f"the version changed: {told}")
    return passed(f"还是 {known.version}", f"still {known.version}")


def installs(order: Ordered, _trace: Trace, _known: Known) -> Verdict:
    """Whether a right package is installed, and told with event 10."""
    if not order.ends:
        return failed(f"没有结束：{order.events}", f"it has no end: {order.events}")
    if INSTALLED not in order.ends:
        told = next((str(value.get("description") or "") for _, value in reversed(order.told)), "")
        return failed(
            f"没有装上：{order.events} {told}", f"it is not installed: {order.events} {told}"
        )
    return passed(f"事件 {order.events}", f"events {order.events}")


def runs(order: Ordered, trace: Trace, _known: Known) -> Verdict:
    """Whether the new version says that it runs."""
    if INSTALLED not in order.ends:
        return inapplicable("没有装上", "it is not installed")
    told, wanted = trace.seen["runs"], trace.seen["wanted"]
    if told != wanted:
        return failed(
            f"装了 {wanted}，运行的是 {told or '？'}", f"{wanted} is installed, {told or '?'} runs"
        )
    if not trace.probes["read"].ok:
        probe = trace.probes["read"]
        return failed(f"新版本读：{in_zh(probe)}", f"read of the new version: {probe}")
    return passed(f"运行 {told}", f"{told} runs")


def done_once(order: Ordered, trace: Trace, _known: Known) -> Verdict:
    """Whether an order that was carried out is not carried out again."""
    if INSTALLED not in order.ends:
        return inapplicable("没有装上", "it is not installed")
    again: Ordered = trace.seen["orders"]["once more"]
    if again.asked or order.events.count(BEGIN) > 1 or _after_end(order):
        return failed(f"又做了一遍：{order.events}", f"it is carried out again: {order.events}")
    if again.probe.outcome != "answered":
        return failed(
            f"再来的命令：{in_zh(again.probe)}", f"the order that came again: {again.probe}"
        )
    if any(each != INSTALLED for each in order.ends):
        return warned(f"结束得不一样：{order.ends}", f"it ends in two ways: {order.ends}")
    return passed(in_zh(again.probe), str(again.probe))


def _after_end(order: Ordered) -> bool:
    first = order.events.index(INSTALLED)
    return bool({DOWNLOADING, INSTALLING} & set(order.events[first:]))


_LIES, _AFTER, _INSTALL = "update lies", "update after", "update install"
CHECKS = (
    Check(
        "update.forged", Text("伪造的仓库", "A forged repository"), f"{ATTACKS}: arbitrary software; {TUF}.4",
        Text("核对元数据的签名", "Verify the metadata's signatures"), _LIES, of("forged", distrusts),
    ),
    Check(
        "update.frozen", Text("冻住的仓库", "A frozen repository"), f"{ATTACKS}: indefinite freeze; {TUF}.4",
        Text("检查时间戳的有效期", "Check when the timestamp expires"), _LIES, of("frozen", distrusts),
    ),
    Check(
        "update.rolled-back", Text("退回去的仓库", "A repository that was rolled back"), f"{ATTACKS}: rollback; {TUF}.4",
        Text("记住见过的版本号，更小的不要", "Keep the version that was seen, and take no smaller one"), _LIES, of("rolled back", distrusts),
    ),
    Check(
        "update.product", Text("别的产品的包", "Another product's package"), f"{ATTACKS}: wrong product",
        Text("比较签名里的产品", "Compare the signed product"), _LIES, of("product", distrusts),
    ),
    Check(
        "update.other-bytes", Text("不是签名的那个文件", "A file that is not the signed one"), f"{ATTACKS}: arbitrary software; {TUF}.7",
        Text("核对签名的哈希", "Compare the signed hash"), _LIES, of("other bytes", other_bytes),
    ),
    Check(
        "update.each-ends", Text("每个命令只结束一次", "Each order has one end"), "device-protocol.md, OTA order: Event numbers",
        Text("每个接受的命令报一个结束事件", "Report one end of each order that is taken"), _AFTER, each_ends,
    ),
    Check(
        "update.stays", Text("失败之后还是原来的版本", "The old version runs after failures"), "docs/ota.md, What each failure means",
        Text("失败后不换版本", "Change no version after a failure"), _AFTER, stays,
    ),
    Check(
        "update.installs", Text("装上好的包", "A right package is installed"), "device-protocol.md, OTA order: 10 installed",
        Text("看最后的事件说了什么", "See what the last event says"), _INSTALL, of("install", started(installs)),
    ),
    Check(
        "update.runs", Text("新版本在运行", "The new version runs"), "device-protocol.md, Report keys: package_info",
        Text("启动后报 package_info", "Report package_info after each start"), _INSTALL, of("install", started(runs)),
    ),
    Check(
        "update.done-once", Text("做过的命令不再做", "What is done is not done again"), "docs/ota.md, From order to report: 2.04",
        Text("记住做过的 transaction", "Keep the transaction that is done"), _INSTALL, of("install", started(done_once)),
    ),
)  # fmt: skip
