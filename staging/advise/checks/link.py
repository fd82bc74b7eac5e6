"""Checks of the link: registration, keepalive, cuts, silences and waits."""

from __future__ import annotations

from itertools import pairwise

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
from staging.advise.record import ANSWERED, Arrival, Known, Trace
from wire.profile import UUID_PATTERN

# Seconds: the document's interval, and within what a keepalive is still one (routers forget after 60 to 300).
ALIVE_BAND, ALIVE_LONGEST = (45.0, 65.0), 120.0
# Seconds that a device may be away after some cuts; it was cut off before too.
SOON_SECONDS, BACK_SECONDS = 20.0, 70.0
# Of waits: below the first a cloud that restarts is stormed.
STORM_SECONDS = 0.15
# The reference client's waits, and how near a wait without jitter comes to them.
PLAIN, NEAR = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0), 0.04
# Seconds in which a link that carries nothing is noticed.
DEAD_GOOD, DEAD_LONGEST = 60.0, 180.0
# Seconds in which a registration that nobody answers is given up.
GIVE_UP_SECONDS = 60.0

LINK = "device-protocol.md, Link"


def _first(trace: Trace) -> Arrival | None:
    return trace.arrivals[0] if trace.arrivals else None


def registers_first(trace: Trace, _known: Known) -> Verdict:
    """Whether the first request of a connection is the registration."""
    first = _first(trace)
    if first is None:
        return failed("连上后什么也没有发", "it connected and sent nothing")
    if first.kind != "register":
        where = "/" + "/".join(first.path)
        return failed(
            f"第一条消息是 {first.method} {where}", f"the first is {first.method} {where}"
        )
    if not first.confirmable or first.method != "POST":
        return failed("注册不是 CON POST", "the registration is no CON POST")
    return passed("CON POST /reg_for_control", "CON POST /reg_for_control")


def registration_form(trace: Trace, _known: Known) -> Verdict:
    """Whether the registration's payload is the document's."""
    found = trace.of("register")
    if not found:
        return inapplicable("没有注册", "it did not register")
    body = found[0].body
    if body is None:
        return failed("负载不是 JSON 对象", "the payload is no JSON object")
    uuid, token = body.get("deviceUUID"), body.get("token")
    if not (isinstance(uuid, str) and UUID_PATTERN.fullmatch(uuid)):
        return failed("deviceUUID 不是 14 位十六进制", "deviceUUID is not 14 hex digits")
    if not (isinstance(token, str) and token):
        return failed("token 不是非空字符串", "token is no string with content")
    if extra := sorted(body.keys() - {"deviceUUID", "token"}):
        return warned(f"多出 {', '.join(extra)}", f"it also has {', '.join(extra)}")
    return passed("deviceUUID 与 token", "deviceUUID and token")


def registration_identity(trace: Trace, known: Known) -> Verdict:
    """Whether it registers as the device that it is, with its token."""
    for arrival in trace.of("register"):
        body = arrival.body or {}
        uuid = str(body.get("deviceUUID", "")).lower()
        if not UUID_PATTERN.fullmatch(uuid):
            return inapplicable("deviceUUID 不是 uuid", "deviceUUID is no uuid")
        if uuid != known.uuid:
            return failed("注册用的 uuid 不是这台设备的", "it registers with another uuid")
        if body.get("token") != known.token:
            return failed("token 与档案里的不同", "the token is not the profile's")
    if not trace.of("register"):
        return inapplicable("没有注册", "it did not register")
    return passed("uuid 与 token 都对", "uuid and token are the profile's")


def waits_for_acceptance(trace: Trace, _known: Known) -> Verdict:
    """Whether nothing comes before the registration is answered."""
    if not trace.of("register"):
        return inapplicable("没有注册", "it did not register")
    early = [each for each in trace.arrivals if each.at < trace.seen["answered"]][1:]
    early = [each for each in early if each.kind != "register"]
    if early:
        zh = f"注册还没有得到回答，就先发了 {len(early)} 条"
        return failed(zh, f"{len(early)} requests came before the registration's answer")
    return passed("注册得到回答前什么也没发", "nothing came before the registration's answer")


def one_connection(trace: Trace, _known: Known) -> Verdict:
    """Whether one connection carries everything."""
    more = max(trace.seen["others"], trace.seen["waiting"])
    if more:
        return failed(f"另外还开了 {more} 条连接", f"it opened {more} more connections beside it")
    return passed("只有一条连接", "one connection")


def well_formed(trace: Trace, _known: Known) -> Verdict:
    """Whether frames and messages have the form of RFC 7252."""
    if trace.faults:
        first = trace.faults[0]
        return failed(f"{len(trace.faults)} 处：{first}", f"{len(trace.faults)} faults: {first}")
    return passed("全部合乎 RFC 7252", "all as in RFC 7252")


def _back(trace: Trace, name: str, soon: float = SOON_SECONDS) -> Verdict:
    found = trace.seen[name]
    if found is None:
        return failed("没有再回来", "it did not come back")
    if found > BACK_SECONDS:
        return failed(f"{seconds(found)} 后才回来", f"it was back after {seconds(found)}")
    if found > soon:
        return warned(f"{seconds(found)} 后才回来", f"it was back after {seconds(found)}")
    return passed(f"{seconds(found)} 后重新注册", f"registered again after {seconds(found)}")


def back_after_close(trace: Trace, _known: Known) -> Verdict:
    """Whether it comes back after an orderly end."""
    return _back(trace, "closed")


def back_after_reset(trace: Trace, _known: Known) -> Verdict:
    """Whether it comes back after a reset."""
    return _back(trace, "reset")


def back_after_torn(trace: Trace, _known: Known) -> Verdict:
    """Whether it comes back after a cut in the middle of a message."""
    return _back(trace, "torn")


def no_storm(trace: Trace, _known: Known) -> Verdict:
    """Whether waits grow while a cloud restarts again and again."""
    gaps: list[float] = trace.seen["gaps"]
    told = ", ".join(f"{gap:.2f}" for gap in gaps)
    if len(gaps) < 3:
        return inapplicable("没有再回来", "it did not come back")
    if sum(gap < STORM_SECONDS for gap in gaps) > 1:
        return failed(f"几乎不等：{told} s", f"it hardly waits: {told} s")
    if max(gaps[2:]) < 2 * STORM_SECONDS or max(gaps[2:]) <= 1.2 * gaps[0] < 0.5:
        return failed(f"等待没有变长：{told} s", f"the waits do not grow: {told} s")
    return passed(f"等待：{told} s", f"the waits: {told} s")


def has_jitter(trace: Trace, _known: Known) -> Verdict:
    """Whether waits have a random part, so that a fleet does not come back as one."""
    gaps: list[float] = trace.seen["gaps"]
    told = ", ".join(f"{gap:.2f}" for gap in gaps)
    if len(gaps) < 4:
        return inapplicable("次数太少", "too few tries to tell")
    plain = sum(any(abs(gap - wait) <= NEAR * wait for wait in PLAIN) for gap in gaps)
    same = all(abs(gap - gaps[0]) <= NEAR * max(gap, 0.05) for gap in gaps)
    if plain == len(gaps) or same:
        return warned(f"等待没有随机成分：{told} s", f"the waits have no random part: {told} s")
    return passed(f"等待带随机：{told} s", f"the waits are spread: {told} s")


def waits_when_refused(trace: Trace, _known: Known) -> Verdict:
    """Whether a cloud that takes no registrations for now is left some time, and nothing else is sent."""
    gaps: list[float] = trace.seen["gaps"]
    told = ", ".join(f"{gap:.2f}" for gap in gaps)
    if trace.seen["reports"]:
        return failed("没有注册上也上报", "it reports without being registered")
    if min(gaps) < STORM_SECONDS:
        return failed(f"几乎不等：{told} s", f"it hardly waits: {told} s")
    if not trace.seen["back"]:
        return failed("后来没有再回来", "it did not come back afterwards")
    return passed(f"等待：{told} s", f"the waits: {told} s")


def gives_up_unanswered(trace: Trace, _known: Known) -> Verdict:
    """Whether a registration that nobody answers is given up."""
    found, tries = trace.seen["gave up"], trace.seen["tries"]
    if found is None and tries < 2:
        return failed("一直等下去", "it waits for ever")
    if found is None:
        return warned("在同一连接上重复注册", "it repeats the registration on the same connection")
    if found > GIVE_UP_SECONDS:
        return warned(f"{seconds(found)} 后才放弃", f"it gave up after {seconds(found)} only")
    if trace.seen["back"] is None:
        return failed("放弃后没有再回来", "it gave up and did not come back")
    return passed(
        f"{seconds(found)} 后放弃并重来", f"it gave up after {seconds(found)} and came again"
    )


def _alive(trace: Trace) -> list[float]:
    return [arrival.at for arrival, _ in trace.told("alive")]


def keeps_alive(trace: Trace, _known: Known) -> Verdict:
    """Whether ``alive`` comes in the document's interval."""
    if trace.seen["lost"]:
        return failed("两分钟里自己断开了", "it ended the connection within two minutes")
    times = _alive(trace)
    if not times:
        return failed("两分钟里没有 alive", "no alive in two minutes")
    start = trace.seen["from"]
    gaps = [after - before for before, after in pairwise(times)]
    gaps = gaps or [times[0] - start]
    told = ", ".join(f"{gap:.0f}" for gap in gaps)
    low, high = ALIVE_BAND
    if max(gaps) > ALIVE_LONGEST:
        return failed(f"相隔 {told} s", f"{told} s apart")
    if not (low <= min(gaps) and max(gaps) <= high):
        return warned(f"相隔 {told} s，文档是 55 s", f"{told} s apart, the document has 55 s")
    return passed(f"相隔 {told} s", f"{told} s apart")


def alive_form(trace: Trace, _known: Known) -> Verdict:
    """Whether ``alive`` is 0, and alone in its report."""
    found = [arrival.data for arrival, _ in trace.told("alive")]
    if not found:
        return inapplicable("没有 alive", "there was no alive")
    if any(data["alive"] != 0 or isinstance(data["alive"], bool) for data in found):
        return failed(f"alive 是 {found[0]['alive']!r}", f"alive is {found[0]['alive']!r}")
    return passed('{"data": {"alive": 0}}', '{"data": {"alive": 0}}')


def notices_half_open(trace: Trace, _known: Known) -> Verdict:
    """Whether a link that carries nothing is noticed."""
    found = trace.seen["back"]
    if found is None:
        return failed("三分钟后仍没有发现", "it has not noticed after three minutes")
    if found > DEAD_LONGEST:
        return failed(f"{seconds(found)} 后才回来", f"it was back after {seconds(found)}")
    if found > DEAD_GOOD:
        return warned(f"{seconds(found)} 后才回来", f"it was back after {seconds(found)}")
    return passed(f"{seconds(found)} 后回来", f"it was back after {seconds(found)}")


def _works(trace: Trace) -> Verdict:
    if not trace.seen["registered"]:
        return failed("没有注册成功", "it did not get registered")
    probe = trace.probes.get("read")
    if probe is None or probe.outcome != ANSWERED:
        return failed("注册后不回答", "it registered and does not answer")
    if not trace.seen["held"]:
        return failed("随后自己断开了", "it ended the connection soon after")
    return passed(
        f"回答用了 {seconds(probe.seconds)}", f"it answered after {seconds(probe.seconds)}"
    )


def works_slowly(trace: Trace, _known: Known) -> Verdict:
    """Whether 8 kB/s is enough for it."""
    return _works(trace)


def works_late(trace: Trace, _known: Known) -> Verdict:
    """Whether two seconds there and back do not disturb it."""
    return _works(trace)


def bows_to_refusal(trace: Trace, _known: Known) -> Verdict:
    """Whether a refusal for good is taken: nothing is reported, and the next try waits."""
    talked: list[str] = trace.seen["talked"]
    if talked:
        return failed(f"被拒绝后还在上报（{talked[0]}）", f"refused, it still sends ({talked[0]})")
    gap = trace.seen["gap"]
    if trace.seen["tries"] > 5 or (gap is not None and gap < STORM_SECONDS):
        return failed("被拒绝后不停地重试", "refused, it tries again without a wait")
    if gap is not None and gap < 1.0:
        return warned(f"{seconds(gap)} 后就重试", f"it tries again after {seconds(gap)}")
    told = "没有马上再来" if gap is None else f"{seconds(gap)} 后重试"
    return passed(told, "it does not come soon" if gap is None else f"again after {seconds(gap)}")


CHECKS = (
    Check(
        "link.registers-first", Text("先注册", "It registers first"),
        f"{LINK}: Register: CON POST /reg_for_control",
        Text("连上以后第一条消息发 CON POST /reg_for_control", "Send CON POST /reg_for_control before anything else"),
        "register", registers_first,
    ),
    Check(
        "link.registration-form", Text("注册的内容", "The registration's payload"),
        f'{LINK}: {{"deviceUUID": uuid, "token": token}}',
        Text("负载只含 deviceUUID 与 token 两个字符串", "Send the two strings deviceUUID and token"),
        "register", registration_form,
    ),
    Check(
        "link.registration-identity", Text("用自己的身份注册", "It registers as itself"),
        "device-protocol.md, Profile: uuid, token",
        Text("uuid 与 token 取自烧入的档案", "Take uuid and token from the flashed profile"),
        "register", registration_identity,
    ),
    Check(
        "link.waits-for-acceptance", Text("等到被接受", "It waits to be accepted"),
        f"{LINK}: the cloud answers 2.05 when it accepts",
        Text("得到 2.05 之前不要上报", "Report nothing before the 2.05"),
        "register", waits_for_acceptance,
    ),
    Check(
        "link.one-connection", Text("只用一条连接", "One connection"),
        f"{LINK}: One connection carries everything",
        Text("不要另开连接", "Open no second connection"),
        "register", one_connection,
    ),
    Check(
        "link.well-formed", Text("消息的格式", "The messages' form"),
        "RFC 7252, section 3; device-protocol.md, Link: Framing",
        Text("按 RFC 7252 第 3 节编码", "Encode messages as RFC 7252, section 3, has them"),
        "register", well_formed,
    ),
    Check(
        "link.back-after-close", Text("正常断开后回来", "Back after an orderly end"),
        f"{LINK}: Reconnect tries at 0.5, 1, 2, 4, 8 s",
        Text("连接结束后几秒内重连", "Connect again within seconds of the end"),
        "cuts", back_after_close,
    ),
    Check(
        "link.back-after-reset", Text("被复位后回来", "Back after a reset"),
        f"{LINK}: Reconnect tries at 0.5, 1, 2, 4, 8 s",
        Text("ECONNRESET 也要重连", "Take a reset for the end of the connection, and connect again"),
        "cuts", back_after_reset,
    ),
    Check(
        "link.back-after-torn", Text("消息中途断开后回来", "Back after a message that was torn"),
        f"{LINK}: Framing",
        Text("断开时丢掉没收完的消息", "Forget the part of a message when the connection ends"),
        "cuts", back_after_torn,
    ),
    Check(
        "link.no-storm", Text("云端反复重启时越等越久", "Longer waits while a cloud restarts"),
        f"{LINK}: Reconnect tries at 0.5, 1, 2, 4, 8 s",
        Text("每次失败后把等待加倍", "Double the wait with each failure"),
        "restarts", no_storm,
    ),
    Check(
        "link.jitter", Text("等待带随机", "Random waits"),
        "docs/link.md, Errors and waits; RFC 8085, section 3.1.1",
        Text("把等待缩短 0 到一半的随机值", "Shorten each wait by a random part, such as up to a half"),
        "restarts", has_jitter,
    ),
    Check(
        "link.waits-when-refused", Text("云端暂时不收时等待", "Waits while no registration is taken"),
        f"{LINK}: any other code is a refusal",
        Text("注册得到 5.03 后先等待再试，不要上报", "After 5.03 wait before the next try, and report nothing"),
        "unavailable", waits_when_refused,
    ),
    Check(
        "link.gives-up-unanswered", Text("放弃没有回答的注册", "Gives up a registration without an answer"),
        "RFC 7252, section 4.2: EXCHANGE_LIFETIME, MAX_TRANSMIT_WAIT (93 s)",
        Text("60 秒没有回答就断开重来", "Without an answer in 60 s end the connection and try again"),
        "unanswered", gives_up_unanswered,
    ),
    Check(
        "link.works-slowly", Text("8 kB/s 也能用", "Works at 8 kB/s"),
        "docs/link.md, Errors and waits",
        Text("握手与注册的时限放宽到 15 秒以上", "Give handshake and registration 15 s and more"),
        "slow", works_slowly,
    ),
    Check(
        "link.works-late", Text("来回两秒也能用", "Works with two seconds there and back"),
        "RFC 7252, section 4.8: ACK_TIMEOUT; docs/link.md",
        Text("时限按 2 秒的来回计算", "Reckon deadlines with a round trip of 2 s"),
        "late", works_late,
    ),
    Check(
        "link.half-open", Text("发现断了的链路", "Notices a dead link"),
        "docs/link.md, A silence",
        Text("用带确认的 alive 或 TCP_USER_TIMEOUT 发现", "Notice it by confirmed alives, or TCP_USER_TIMEOUT"),
        "half-open", notices_half_open,
    ),
    Check(
        "link.keepalive", Text("保持连接", "Keepalive"),
        f"{LINK}: the report alive every 55 s",
        Text("每 55 秒上报 alive", "Report alive every 55 s"),
        "quiet", keeps_alive,
    ),
    Check(
        "link.alive-form", Text("alive 的格式", "The form of alive"),
        f'{LINK}: {{"data": {{"alive": 0}}}}',
        Text("alive 的值是 0", "The value of alive is 0"),
        "quiet", alive_form,
    ),
    Check(
        "link.bows-to-refusal", Text("被拒绝后不再上报", "Reports nothing after a refusal"),
        f"{LINK}: any other code is a refusal",
        Text("4.01 后停止上报，隔几分钟再试", "After 4.01 report nothing, and try again after minutes"),
        "refused", bows_to_refusal,
    ),
)  # fmt: skip
