"""Checks of updates' downloads: what is told of one, what interrupts it, and orders that disagree with the package."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from staging.advise.checks.common import in_zh, seconds
from staging.advise.checks.model import (
    Check,
    Judge,
    Text,
    Verdict,
    failed,
    inapplicable,
    passed,
    warned,
)
from staging.advise.orders import (
    BEGIN,
    CHECKSUM_FAIL,
    DOWNLOADED,
    DOWNLOADING,
    ENDS,
    EVENTS,
    INSTALLED,
    INSTALLING,
    NOTHING,
    Lacking,
    Ordered,
)
from staging.advise.record import Known, Trace
from wire.codes import Code

ORDER = "device-protocol.md, OTA order"
FAILURES = "docs/ota.md, What each failure means"
# Seconds until an order that is taken is told to have begun: later than that an app shows nothing; much later nobody waits.
PROMPT_SECONDS, PROMPT_MOST = 10.0, 40.0
# Seconds for an answer while a package comes.
MEANWHILE_SECONDS = 2.0
# Requests of a download that is sent in a circle.
CIRCLE_MOST = 60
_NO_DELETE = frozenset({Code.NOT_FOUND, Code.METHOD_NOT_ALLOWED})
_LACKING = {
    Lacking.PACKAGE: ("没有可以给的升级包：用 --root 或 --package", "no package may be offered: give --root or --package"),
    Lacking.GOOD: ("没有给 --package", "no --package was given"),
    Lacking.ROOT: ("没有 TUF：用 --root 给它台架的根", "no TUF: give it the bench's root by --root"),
    Lacking.READING: (
        "它没有读台架的仓库：刷上 --root 写的根，otaRepository 指向台架",
        "it did not read the bench's repository: flash the root of --root, and lead otaRepository to the bench",
    ),
    Lacking.REFUSED: ("现在不接受命令（升级还在进行？）", "it took no order just now (does an update still run?)"),
    Lacking.ORDERS: ("不接受升级命令", "it takes no orders to update"),
}  # fmt: skip
_SUCCESS = failed("报告成功（事件 10）", "it reports success (event 10)")


def nothing(trace: Trace) -> Verdict:
    """Return the verdict of a case that had no package to offer."""
    return inapplicable(*_LACKING[trace.seen[NOTHING]])


def of(name: str, judge: Callable[[Ordered, Trace, Known], Verdict]) -> Judge:
    """Return a judge of one order of a case; where there was none, it is not applicable."""

    def judged(trace: Trace, known: Known) -> Verdict:
        if NOTHING in trace.seen:
            return nothing(trace)
        return judge(trace.seen["orders"][name], trace, known)

    return judged


def started(
    judge: Callable[[Ordered, Trace, Known], Verdict],
) -> Callable[[Ordered, Trace, Known], Verdict]:
    """Return a judge of an order that the device has taken; one that it has not is not applicable."""

    def judged(order: Ordered, trace: Trace, known: Known) -> Verdict:
        if not order.taken:
            return inapplicable(
                f"没有接受命令：{in_zh(order.probe)}", f"it did not take the order: {order.probe}"
            )
        return judge(order, trace, known)

    return judged


def is_refused(order: Ordered, _trace: Trace, _known: Known) -> Verdict:
    """Whether an order comes to nothing: by its answer, or by an event that ends it."""
    if not order.taken:
        return passed(in_zh(order.probe), str(order.probe))
    if INSTALLED in order.ends:
        return _SUCCESS
    if not order.ends:
        return failed(f"没有结束：{order.events}", f"it has no end: {order.events}")
    return passed(f"事件 {order.events}", f"events {order.events}")


def prompt(order: Ordered, _trace: Trace, _known: Known) -> Verdict:
    """Whether an order that is taken is told to have begun soon."""
    begun = [at for at, value in order.told if value.get("event") == BEGIN]
    if not begun:
        return inapplicable("没有事件 0", "there was no event 0")
    wait = begun[0] - order.at
    if wait > PROMPT_MOST:
        return failed(f"{seconds(wait)} 后才有事件 0", f"event 0 came after {seconds(wait)}")
    if wait > PROMPT_SECONDS:
        return warned(f"{seconds(wait)} 后才有事件 0", f"event 0 came after {seconds(wait)}")
    return passed(f"{seconds(max(0.0, wait))}", f"after {seconds(max(0.0, wait))}")


def numbered(order: Ordered, _trace: Trace, _known: Known) -> Verdict:
    """Whether all event numbers are the document's, and come in the order of an update's steps."""
    found = order.events
    strange = [each for each in found if each not in EVENTS]
    if strange:
        return failed(f"没有这样的事件：{strange[0]!r}", f"there is no event {strange[0]!r}")
    # That it begins twice is another check's fault.
    places = [_place(each) for each in found[:1] + [each for each in found[1:] if each != BEGIN]]
    if places != sorted(places):
        return failed(f"次序不对：{found}", f"the order is wrong: {found}")
    return passed(f"{found}", f"{found}")


def _place(event: object) -> int:
    steps = (BEGIN, DOWNLOADING, DOWNLOADED, INSTALLING)
    return steps.index(event) if event in steps else len(steps)


def progresses(order: Ordered, _trace: Trace, _known: Known) -> Verdict:
    """Whether the percent of a download grows while it comes."""
    found = [each for each in order.percents if isinstance(each, int | float)]
    if any(later < before for before, later in itertools.pairwise(found)):
        return failed(f"percent 变小了：{found}", f"percent becomes less: {found}")
    if not any(0 < each < 1 for each in found):
        return warned(
            f"四秒的下载里 percent 只有 {found}",
            f"in a download of four seconds percent is {found} alone",
        )
    return passed(f"{found}", f"{found}")


def states(order: Ordered, _trace: Trace, _known: Known) -> Verdict:
    """Whether the states of an update come in their order."""
    found = order.states
    if not found:
        return inapplicable("没有 ota_state", "it tells no ota_state")
    if not set(found) <= set(range(5)):
        return failed(f"没有这样的状态：{found}", f"there is no such state: {found}")
    # Idle is where it is before and, once more, after the end.
    steps = [each for each in found if each]
    if steps != sorted(steps):
        return failed(f"次序不对：{found}", f"the order is wrong: {found}")
    return passed(f"{found}", f"{found}")


def answers_meanwhile(order: Ordered, trace: Trace, _known: Known) -> Verdict:
    """Whether the machine answers while it downloads."""
    if not order.seen["running"]:
        return inapplicable("下载没有开始", "the download did not begin")
    probe = trace.probes["read meanwhile"]
    if not probe.ok:
        return failed(f"下载时读：{in_zh(probe)}", f"read while it downloads: {probe}")
    if probe.seconds > MEANWHILE_SECONDS:
        return warned(
            f"{seconds(probe.seconds)} 后才答", f"answered after {seconds(probe.seconds)}"
        )
    return passed(seconds(probe.seconds), seconds(probe.seconds))


def takes_again(order: Ordered, trace: Trace, _known: Known) -> Verdict:
    """Whether the same order, which comes again while it is carried out, begins nothing anew."""
    if not order.seen["running"]:
        return inapplicable("下载没有开始", "the download did not begin")
    begun = order.events.count(BEGIN)
    if begun > 1:
        return failed(f"事件 0 来了 {begun} 次", f"event 0 came {begun} times")
    probe = trace.seen["orders"]["again"].probe
    if probe.outcome != "answered":
        return failed(f"再来的命令：{in_zh(probe)}", f"the order that came again: {probe}")
    return passed(in_zh(probe), str(probe))


def refuses_second(order: Ordered, trace: Trace, _known: Known) -> Verdict:
    """Whether another order is refused while one is carried out."""
    first: Ordered = trace.seen["orders"]["download"]
    if not first.seen["running"]:
        return inapplicable("下载没有开始", "the download did not begin")
    if not order.taken:
        return passed(in_zh(order.probe), str(order.probe))
    if not order.ends:
        return failed("接受了第二个命令，却没有结束", "it took a second order, which has no end")
    over = [at for at, value in first.told if value.get("event") in ENDS]
    begun = [at for at, value in order.told if value.get("event") == BEGIN]
    if begun and (not over or begun[0] < over[0]):
        return failed("两个升级同时进行", "it carries out two updates at once")
    return passed(f"事件 {order.events}", f"events {order.events}")


def resumes(order: Ordered, _trace: Trace, _known: Known) -> Verdict:
    """Whether a download that was cut goes on from the part that is kept."""
    if not order.ends:
        return failed("切断之后没有结束", "after the cut it has no end")
    asked = order.asked[1:]
    if not order.asked:
        return inapplicable("没有下载", "it fetched nothing")
    if not asked:
        return warned(
            f"一断就放弃：{order.events}", f"it gives up at the first cut: {order.events}"
        )
    if not any(asked):
        return warned("从头再下载", "it fetches all of it again")
    return passed(f"从第 {max(asked)} 字节继续", f"it goes on from byte {max(asked)}")


def without_ranges(order: Ordered, _trace: Trace, known: Known) -> Verdict:
    """Whether a whole file that comes in a part's place is not put behind what is there."""
    del known
    if not order.ends:
        return failed("没有结束", "it has no end")
    if len(order.asked) < 2:
        return inapplicable("没有再下载", "it did not fetch it again")
    if order.seen.get("signed") and CHECKSUM_FAIL in order.ends:
        return failed("拼错了：事件 31", "it put the pieces together wrongly: event 31")
    return passed(f"事件 {order.events}", f"events {order.events}")


def no_page(order: Ordered, _trace: Trace, _known: Known) -> Verdict:
    """Whether a web page is not taken for the package."""
    if not order.asked:
        return inapplicable("没有下载", "it fetched nothing")
    if not order.ends:
        return failed("没有结束", "it has no end")
    early = order.events[: int(str(order.seen["before"]))]
    taken = [each for each in early if each in {DOWNLOADED, INSTALLING, INSTALLED}]
    if taken or (len(order.asked) == 1 and order.ends[0] != 6 and DOWNLOADED in order.events):
        return failed(
            f"把登录网页当成升级包：{order.events}",
            f"it took a log-in page for the package: {order.events}",
        )
    return passed(
        f"下载 {len(order.asked)} 次，{order.events}", f"{len(order.asked)} tries, {order.events}"
    )


def follows(order: Ordered, _trace: Trace, _known: Known) -> Verdict:
    """Whether a package that is elsewhere is fetched there."""
    if not order.ends:
        return failed("没有结束", "it has no end")
    if not order.asked:
        return inapplicable("没有下载", "it fetched nothing")
    if not order.seen["followed"]:
        return warned(f"不跟随 302：{order.events}", f"it does not follow 302: {order.events}")
    return passed(f"跟随了 302：{order.events}", f"it follows 302: {order.events}")


def leaves_circle(order: Ordered, _trace: Trace, _known: Known) -> Verdict:
    """Whether redirects without end come to an end."""
    if not order.asked:
        return inapplicable("没有下载", "it fetched nothing")
    if not order.ends or INSTALLED in order.ends:
        return failed(
            f"{len(order.asked)} 次请求后还没有结束",
            f"after {len(order.asked)} requests it has no end",
        )
    if len(order.asked) > CIRCLE_MOST:
        return warned(f"请求了 {len(order.asked)} 次", f"{len(order.asked)} requests")
    return passed(f"{len(order.asked)} 次请求后结束", f"it ends after {len(order.asked)} requests")


def cancels(order: Ordered, trace: Trace, _known: Known) -> Verdict:
    """Whether an update that is cancelled ends, and fetches nothing more."""
    probe = trace.probes["cancel"]
    if probe.code in _NO_DELETE and probe.outcome == "answered":
        return inapplicable(f"不会取消：{in_zh(probe)}", f"it takes no cancellation: {probe}")
    if not order.seen["running"]:
        return inapplicable("下载没有开始", "the download did not begin")
    if not probe.ok:
        return failed(f"取消：{in_zh(probe)}", f"the cancellation: {probe}")
    return is_over(order)


def is_over(order: Ordered) -> Verdict:
    """Whether an update that was cancelled has ended, and fetches nothing more."""
    if not order.ends:
        return failed("答应取消，却没有结束", "it took the cancellation, and the update has no end")
    if INSTALLED in order.ends:
        return _SUCCESS
    if order.seen["fetched on"]:
        return failed("取消之后还在下载", "it fetches on after that")
    return passed(f"事件 {order.ends[0]}", f"event {order.ends[0]}")


_DOWNLOAD = "update download"
CHECKS = (
    Check(
        "update.prompt", Text("很快说开始了", "It is told to have begun soon"), f"{ORDER}: Event numbers",
        Text("接受命令后马上报事件 0", "Report event 0 at once"), _DOWNLOAD, of("download", started(prompt)),
    ),
    Check(
        "update.numbers", Text("事件的号与次序", "Event numbers and their order"), f"{ORDER}: Event numbers",
        Text("用文档的号，按步骤的次序报", "Use the document's numbers, in the order of the steps"),
        _DOWNLOAD, of("download", started(numbered)),
    ),
    Check(
        "update.progress", Text("percent 增长", "percent grows"), "device-protocol.md, Report keys: percent",
        Text("下载时每秒报一次 percent", "Report percent once a second while it downloads"),
        _DOWNLOAD, of("download", started(progresses)),
    ),
    Check(
        "update.states", Text("状态的次序", "States and their order"), "device-protocol.md, Report keys: ota_state",
        Text("按 1、2、3、4 的次序报", "Report 1, 2, 3, 4 in this order"), _DOWNLOAD, of("download", started(states)),
    ),
    Check(
        "update.answers", Text("下载时照常回答", "It answers while it downloads"), "device-protocol.md, Link: One connection",
        Text("下载放在别的任务里", "Download in a task of its own"), _DOWNLOAD, of("download", started(answers_meanwhile)),
    ),
    Check(
        "update.repeat", Text("同一个命令再来", "The same order once more"), "docs/ota.md, From order to report: 2.04",
        Text("同一个 transaction 不重新开始", "Begin nothing anew for the same transaction"),
        _DOWNLOAD, of("download", started(takes_again)),
    ),
    Check(
        "update.second", Text("拒绝第二个命令", "A second order is refused"), "docs/ota.md, From order to report: 4.09",
        Text("升级进行时别的命令答 4.09", "Answer 4.09 to another order while one is carried out"),
        _DOWNLOAD, of("second", refuses_second),
    ),
    Check(
        "update.damaged", Text("拒绝损坏的包", "A damaged package is refused"), FAILURES,
        Text("装之前检查整个包", "Check all of a package before it is installed"), _DOWNLOAD, of("download", is_refused),
    ),
    Check(
        "update.resumes", Text("断了的下载继续", "A download that was cut goes on"), "RFC 9110, section 14.2: Range; docs/ota.md",
        Text("留着已下载的部分，用 Range 继续", "Keep the part, and go on by Range"), "update cut", of("cut", started(resumes)),
    ),
    Check(
        "update.no-ranges", Text("不会 Range 的服务器", "A server without ranges"), "RFC 9110, section 14.2: 200 in place of 206",
        Text("得到 200 时从头写起", "Where 200 comes, begin from the first byte"), "update cut", of("no ranges", started(without_ranges)),
    ),
    Check(
        "update.page", Text("登录网页不是升级包", "A log-in page is no package"), FAILURES,
        Text("看类型与长度，等一会再试", "Look at type and length, and try again later"), "update page", of("page", started(no_page)),
    ),
    Check(
        "update.redirect", Text("跟随重定向", "Redirects"), "RFC 9110, section 15.4",
        Text("跟随几次重定向", "Follow some redirects"), "update redirect", of("redirect", started(follows)),
    ),
    Check(
        "update.circle", Text("转圈的重定向", "Redirects in a circle"), "RFC 9110, section 15.4: cyclical redirections",
        Text("重定向有上限", "Limit the redirects"), "update redirect", of("circle", started(leaves_circle)),
    ),
    Check(
        "update.md5", Text("拒绝 MD5 不对的包", "Another MD5 is refused"), f"{ORDER}: signature is the MD5",
        Text("比较命令里的 MD5", "Compare with the order's MD5"), "update disagreeing", of("MD5", is_refused),
    ),
    Check(
        "update.size", Text("拒绝大小不对的包", "Another size is refused"), f"{ORDER}: size",
        Text("比较命令里的大小", "Compare with the order's size"), "update disagreeing", of("size", is_refused),
    ),
    Check(
        "update.too-long", Text("拒绝太长的文件", "A file that is too long is refused"), f"{FAILURES}: wrong length",
        Text("超过命令的大小就停", "Stop where it exceeds the order's size"), "update disagreeing", of("too long", is_refused),
    ),
    Check(
        "update.cancel", Text("取消", "A cancelled update"), "docs/adr/0013",
        Text("取消后停止下载，报一个结束事件", "Stop the download, and report one end"), "update cancel", of("cancel", started(cancels)),
    ),
)  # fmt: skip
