"""Checks of TLS: whom the device believes, and what it does with who cannot prove to be the cloud."""

from __future__ import annotations

from staging.advise.bench import Paper
from staging.advise.checks.common import seconds
from staging.advise.checks.model import Check, Text, Verdict, failed, passed, warned
from staging.advise.record import Known, Trace

PROFILE = "device-protocol.md, Profile: rsaCaCrt; Link: the device checks it"

# Seconds after which somebody with an app has noticed, and which are right for a server that is refused: ours waits
# 150 to 300.
LONG_SECONDS = 305.0


def refuses(trace: Trace, _known: Known) -> Verdict:
    """Whether a server that proves nothing is told nothing."""
    if trace.seen["spoke"]:
        return failed(
            "接受了证书并发出了注册", "it took the certificate, and sent its registration"
        )
    fault = trace.lines[-1].fault
    return passed(f"拒绝：{fault or '断开'}", f"refused: {fault or 'it ended the connection'}")


def takes(trace: Trace, _known: Known) -> Verdict:
    """Whether a server that is right is taken."""
    if not trace.seen["registered"]:
        fault = trace.seen["fault"] or "no registration"
        return failed(f"没有注册：{fault}", f"not registered: {fault}")
    probe = trace.probes.get("read")
    if probe is None or not probe.ok:
        return failed("注册后不回答", "it registered and does not answer")
    return passed(
        f"注册成功（{trace.seen['handshake']}）", f"registered ({trace.seen['handshake']})"
    )


def takes_modern(trace: Trace, known: Known) -> Verdict:
    """Whether TLS 1.3 is spoken; without it, it is no fault of a device of 2017."""
    verdict = takes(trace, known)
    if verdict.grade == "fail" and not trace.seen["handshake"]:
        return warned("不会 TLS 1.3", "it does not speak TLS 1.3")
    return verdict


def refuses_old(trace: Trace, known: Known) -> Verdict:
    """Whether TLS 1.1 is refused."""
    return refuses(trace, known)


def keeps_secret(trace: Trace, _known: Known) -> Verdict:
    """Whether nothing secret is said without TLS."""
    if trace.seen["told"]:
        return failed(
            "没有 TLS 也发出了 token 或注册", "it sent its token or registration without TLS"
        )
    if trace.seen["first"] not in {b"\x16", b""}:
        return failed("第一个字节不是 TLS 握手", "its first byte is no TLS handshake")
    return passed("没有 TLS 就什么也不说", "it says nothing without TLS")


def survives_page(trace: Trace, _known: Known) -> Verdict:
    """Whether it comes back after a web page came in TLS's place."""
    found = trace.seen["back"]
    if found is None:
        return failed("没有再回来", "it did not come back")
    return passed(f"{seconds(found)} 后重新注册", f"registered again after {seconds(found)}")


def forgives(trace: Trace, _known: Known) -> Verdict:
    """Whether it comes back to the right cloud after the wrong ones."""
    found = trace.seen["back"]
    if found is None:
        return failed("五分钟后还没有回来", "not back after five minutes")
    if found > LONG_SECONDS:
        return warned(f"{seconds(found)} 后才回来", f"back after {seconds(found)} only")
    return passed(f"{seconds(found)} 后重新注册", f"registered again after {seconds(found)}")


_WRONG = {
    Paper.EXPIRED: ("expired", Text("过期的证书", "An expired certificate"),
                    "RFC 5280, section 6.1.3", Text("检查有效期", "Check the dates")),
    Paper.FUTURE: ("future", Text("还没有生效的证书", "A certificate that is not yet valid"),
                   "RFC 5280, section 6.1.3", Text("检查有效期", "Check the dates")),
    Paper.HOST: ("host", Text("别的主机的证书", "Another host's certificate"),
                 "RFC 9525, section 6; " + PROFILE, Text("核对主机名", "Compare the host's name")),
    Paper.AUTHORITY: ("authority", Text("别的 CA 的证书", "A certificate of another CA"),
                      PROFILE, Text("验证到 rsaCaCrt 的链", "Verify the chain to rsaCaCrt")),
    Paper.BESIDE: ("beside", Text("旁边摆着真 CA", "Another CA's, with the right CA beside it"),
                   "RFC 5280, section 6; " + PROFILE,
                   Text("验证服务器自己的证书的链", "Verify the chain of the server's own certificate")),
    Paper.SELF_SIGNED: ("self-signed", Text("自签名的证书", "A certificate signed by itself"),
                        PROFILE, Text("验证到 rsaCaCrt 的链", "Verify the chain to rsaCaCrt")),
    Paper.CLIENT: ("client", Text("只能用于客户端的证书", "A certificate for clients only"),
                   "RFC 5280, section 4.2.1.12", Text("检查扩展密钥用途", "Check the extended key usage")),
}  # fmt: skip

CHECKS = (
    *(
        Check(f"tls.{name}", title, asks, change, f"tls {paper}", refuses)
        for paper, (name, title, asks, change) in _WRONG.items()
    ),
    Check(
        "tls.1.1", Text("拒绝 TLS 1.1", "TLS 1.1 is refused"), "RFC 8996",
        Text("至少用 TLS 1.2", "Use TLS 1.2 or newer"), "tls 1.1", refuses_old,
    ),
    Check(
        "tls.1.2", Text("TLS 1.2", "TLS 1.2"), "RFC 5246; device-protocol.md, Link",
        Text("提供 TLS 1.2 的套件", "Offer the suites of TLS 1.2"), "tls 1.2", takes,
    ),
    Check(
        "tls.1.3", Text("TLS 1.3", "TLS 1.3"), "RFC 8446",
        Text("更新 TLS 库", "Update the TLS library"), "tls 1.3", takes_modern,
    ),
    Check(
        "tls.long", Text("带很多证书的链", "A chain among many certificates"),
        "RFC 8446, section 4.4.2: a chain of many certificates",
        Text("握手缓冲放大到 16 KiB 以上", "Give the handshake room for 16 KiB and more"),
        f"tls {Paper.LONG}", takes,
    ),
    Check(
        "tls.secret", Text("没有 TLS 不泄密", "No secret without TLS"),
        "device-protocol.md, Link: TCP, then TLS",
        Text("握手完成之前不发任何应用数据", "Send nothing before the handshake is done"),
        "tls clear", keeps_secret,
    ),
    Check(
        "tls.page", Text("登录网页之后回来", "Back after a log-in page"),
        "docs/link.md, Errors and waits: a captive portal's page",
        Text("握手失败后照常重试", "Try again after a handshake that failed"),
        "tls clear", survives_page,
    ),
    Check(
        "tls.back", Text("证书对了就回来", "Back when the certificate is right"),
        "docs/link.md, Errors and waits",
        Text("被拒绝的服务器几分钟后再试", "Try a refused server again after minutes"),
        "tls afterwards", forgives,
    ),
)  # fmt: skip
