"""Checks of frames and messages, on the framed link."""

from __future__ import annotations

from staging.advise.checks.common import all_read, in_zh, seconds, starting
from staging.advise.checks.model import (
    Check,
    Text,
    Verdict,
    failed,
    inapplicable,
    passed,
    warned,
)
from staging.advise.framed import RESET
from staging.advise.message import ACK, CON, NON
from staging.advise.record import ANSWERED, ENDED, Known, Trace
from wire.codes import Code

FRAMING = "device-protocol.md, Link: Framing"
# 4.02 Bad Option, which `wire.codes` does not use.
BAD_OPTION = 0x82


def split(trace: Trace, _known: Known) -> Verdict:
    """Whether a message may come in pieces."""
    return all_read(starting(trace, "byte by byte", "in pieces"), "分段的帧", "frames in pieces")


def joined(trace: Trace, _known: Known) -> Verdict:
    """Whether several messages may come at once."""
    return all_read(starting(trace, "joined"), "连在一起的三帧", "three frames at once")


def tail(trace: Trace, _known: Known) -> Verdict:
    """Whether a message may come with the beginning of the next."""
    found = starting(trace, "before a tail", "tail")
    return all_read(found, "带着下一帧开头的帧", "a frame with the beginning of the next")


def record(trace: Trace, _known: Known) -> Verdict:
    """Whether one record of TLS may hold many messages."""
    return all_read(starting(trace, "record"), "一个 TLS 记录里的八帧", "eight frames in a record")


def gives_up(trace: Trace, _known: Known) -> Verdict:
    """Whether a stream that cannot be read any more is ended, and begun anew."""
    if not trace.seen["ended"]:
        probe = trace.probes.get("afterwards")
        if probe is not None and probe.outcome == ANSWERED:
            return warned("没有断开，还能继续", "it did not end the connection, and goes on")
        return failed("既不断开也不再回答", "it neither ends the connection nor answers any more")
    found = trace.seen["back"]
    if found is None:
        return failed("断开后没有再回来", "it ended the connection and did not come back")
    return passed(
        f"断开，{seconds(found)} 内重新注册", f"ended, and registered again within {seconds(found)}"
    )


def ignores_junk(trace: Trace, _known: Known) -> Verdict:
    """Whether a frame that holds no message harms nothing."""
    probe = trace.probes["after what is no message"]
    return all_read(
        [probe], "不是 CoAP 的帧之后的请求", "the request after a frame that is no CoAP"
    )


def ignores_strays(trace: Trace, _known: Known) -> Verdict:
    """Whether answers that nobody asked for harm nothing."""
    probe = trace.probes["after stray answers"]
    return all_read([probe], "多余的回答之后的请求", "the request after answers to nothing")


def answers_ping(trace: Trace, _known: Known) -> Verdict:
    """Whether an empty CON is answered by an RST."""
    probe = trace.probes["ping"]
    if probe.outcome == ENDED:
        return failed("断开了连接", "it ended the connection")
    if probe.outcome != RESET:
        return warned("没有回答 CoAP ping", "it does not answer a CoAP ping")
    return passed("用 RST 回答", "answered by an RST")


def refuses_critical(trace: Trace, _known: Known) -> Verdict:
    """Whether a critical option that it does not know is not passed over."""
    probe = trace.probes["unknown critical option"]
    if probe.outcome == ENDED:
        return failed("断开了连接", "it ended the connection")
    if probe.outcome == ANSWERED and probe.code == BAD_OPTION:
        return passed("4.02", "4.02")
    if probe.outcome == ANSWERED and probe.code >> 5 == 2:
        return failed(f"照常执行（{probe}）", f"it carried the request out ({probe})")
    return passed(f"没有执行：{in_zh(probe)}", f"not carried out: {probe}")


def takes_elective(trace: Trace, _known: Known) -> Verdict:
    """Whether an elective option that it does not know is passed over."""
    probe = trace.probes["unknown elective option"]
    return all_read([probe], "带未知可选项的请求", "the request with an unknown elective option")


def answers_match(trace: Trace, _known: Known) -> Verdict:
    """Whether answers have the token and the id of their requests."""
    probe = trace.probes["whole"]
    if probe.outcome != ANSWERED:
        return failed(
            f"没有对得上号的回答：{in_zh(probe)}", f"no answer with the request's token: {probe}"
        )
    if not probe.echoes:
        return failed("ACK 的消息号不是请求的", "the ACK has another message id than the request")
    if probe.kind not in {ACK, CON}:
        return failed("CON 没有被确认", "a CON was not acknowledged")
    return passed("token 与消息号都对", "token and message id are the request's")


def takes_tokens(trace: Trace, _known: Known) -> Verdict:
    """Whether tokens of 8 bytes and of none are echoed."""
    found = starting(trace, "long token", "no token")
    return all_read(found, "8 字节与空的 token", "tokens of 8 bytes and of none")


def answers_non(trace: Trace, _known: Known) -> Verdict:
    """Whether a NON is answered, and not by an ACK."""
    probe = trace.probes["non-confirmable"]
    if probe.outcome != ANSWERED or probe.code != Code.CONTENT:
        return failed(in_zh(probe), str(probe))
    if probe.kind == ACK:
        return failed("用 ACK 回答 NON", "it answers a NON by an ACK")
    return passed("NON" if probe.kind == NON else "CON", "NON" if probe.kind == NON else "CON")


def once(trace: Trace, _known: Known) -> Verdict:
    """Whether a message that comes twice is carried out once, and answered as the first time."""
    first, again = trace.probes["first"], trace.probes["the same again"]
    value = trace.probes["value"]
    if not first.ok or not value.ok:
        return inapplicable(f"设置得到 {in_zh(first)}", f"the order was answered {first}")
    if value.text != trace.seen["expected"]:
        return failed("重复的消息又执行了一遍", "the repeated message was carried out again")
    if again.outcome == ANSWERED and again.code != first.code:
        return failed(f"先答 {first}，重复时答 {again}", f"first {first}, repeated {again}")
    if trace.seen["acknowledged"]:
        told = "carried out once; its answer came separately, and its acknowledgement twice"
        return passed("执行一次；回答是分开来的，确认了两次", told)
    if again.outcome != ANSWERED:
        return warned(
            f"重复的消息：{in_zh(again)}", f"the repeated message was not answered again: {again}"
        )
    return passed("执行一次，答两次", "carried out once, answered twice")


CHECKS = (
    Check(
        "frames.split", Text("帧可以分段到达", "Frames may come in pieces"), FRAMING,
        Text("按长度收齐一帧再解码", "Collect a frame by its length before it is decoded"),
        "frames", split,
    ),
    Check(
        "frames.joined", Text("多帧可以一起到达", "Frames may come together"), FRAMING,
        Text("一次读到多帧时逐帧处理", "Go on with what is left of a read after a frame"),
        "frames", joined,
    ),
    Check(
        "frames.tail", Text("可以带着下一帧的开头", "A frame may bring the beginning of the next"), FRAMING,
        Text("把剩下的字节留给下一帧", "Keep the bytes that are left for the next frame"),
        "frames", tail,
    ),
    Check(
        "frames.record", Text("一个记录可以有很多帧", "A record of TLS may hold many frames"),
        "RFC 8446, section 5.1; device-protocol.md, Link: Framing",
        Text("把 TLS 当字节流读", "Read TLS as a stream of bytes"),
        "frames", record,
    ),
    Check(
        "frames.over-long", Text("不等一个 1 GB 的帧", "Does not wait for a gigabyte"), FRAMING,
        Text("长度超过上限就断开重连", "End the connection where a length is over the limit"),
        "over-long", gives_up,
    ),
    Check(
        "frames.wrong-magic", Text("魔数不对就断开", "Ends a stream with a wrong magic"),
        "device-protocol.md, Link: magic 0xBEEFDEAD",
        Text("魔数不对就断开重连", "End the connection where the magic is wrong"),
        "wrong magic", gives_up,
    ),
    Check(
        "frames.junk", Text("不是 CoAP 的帧", "A frame that is no CoAP"), "RFC 7252, section 4.2 and 4.3",
        Text("忽略或用 RST 拒绝，连接照旧", "Ignore it or send an RST; the connection stays"),
        "messages", ignores_junk,
    ),
    Check(
        "frames.strays", Text("没有请求过的回答", "Answers to nothing"), "RFC 7252, section 4.2, 5.3.2",
        Text("忽略对不上号的 ACK 与回答", "Ignore an ACK and an answer that match no request"),
        "messages", ignores_strays,
    ),
    Check(
        "frames.ping", Text("CoAP ping", "CoAP ping"), "RFC 7252, section 4.3",
        Text("空的 CON 用 RST 回答", "Answer an empty CON by an RST"),
        "messages", answers_ping,
    ),
    Check(
        "frames.critical", Text("不认识的关键选项", "An unknown critical option"), "RFC 7252, section 5.4.1",
        Text("答 4.02 或不执行", "Answer 4.02, or do not carry the request out"),
        "messages", refuses_critical,
    ),
    Check(
        "frames.elective", Text("不认识的可选选项", "An unknown elective option"), "RFC 7252, section 5.4.1",
        Text("忽略它，照常执行", "Pass over it and carry the request out"),
        "messages", takes_elective,
    ),
    Check(
        "frames.match", Text("回答对得上请求", "Answers match their requests"), "RFC 7252, section 5.3.2, 5.2.1",
        Text("照抄 token，ACK 用同一个消息号", "Copy the token; an ACK has the request's message id"),
        "frames", answers_match,
    ),
    Check(
        "frames.tokens", Text("长与空的 token", "Long and empty tokens"), "RFC 7252, section 5.3.1",
        Text("token 可以是 0 到 8 字节", "Take tokens of 0 to 8 bytes"),
        "messages", takes_tokens,
    ),
    Check(
        "frames.non", Text("回答 NON 请求", "A NON request is answered"), "RFC 7252, section 5.2.3",
        Text("NON 请求用 NON（或 CON）回答", "Answer a NON by a NON, or a CON"),
        "frames", answers_non,
    ),
    Check(
        "frames.once", Text("重复的消息只执行一次", "A repeated message is carried out once"),
        "RFC 7252, section 4.5",
        Text("记住近来的消息号和回答", "Keep the latest message ids and their answers"),
        "repeats", once,
    ),
)  # fmt: skip
