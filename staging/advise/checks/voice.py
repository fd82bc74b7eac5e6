"""Checks of voice: the form of an utterance, how it sounds, and what is sent while nobody should be heard."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from audio.errors import SpeexDecodeError, SpeexUnavailableError
from staging.advise.checks.common import seconds
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
from staging.advise.record import Known, Trace
from staging.advise.spoken import Piece, Sound, Utterance, decode, fault_of, measure
from wire.errors import WireError
from wire.voice import (
    ID_FIRST,
    ID_LAST,
    MAX_FRAMES,
    RATES,
    HeaderStyle,
    VoiceError,
    VoiceSegment,
    next_utterance_id,
    parse_segment,
    unpack_frames,
)

SEGMENT = "device-protocol.md, Voice segment"
LISTENING = "docs/listening.md"
# Seconds from the wish to speak to the first segment: what a child takes for deaf, and what it waits for no more.
FIRST_GOOD, FIRST_MOST = 3.0, 6.0
# The least part of an utterance's length over which its segments come where they are sent while it is spoken.
LIVE_PART = 0.5
LIVE_FROM_SECONDS = 1.0
# Decibels: speech that a recogniser takes, and what is nobody's voice.
QUIET, LOUD, DEAF = -40.0, -3.0, -60.0
# Shares of samples that are cut off.
CLIPPED_SOME, CLIPPED_MANY = 0.005, 0.05
# Seconds of silence around a sentence.
LEAD_MOST, TAIL_MOST = 1.0, 2.0
_MARKS = {8000: b"SPX", 16000: b"TPX"}

Judged = Callable[[Utterance, Trace], Verdict]


def of(name: str, judge: Judged) -> Judge:
    """Return a judge of one utterance of a case; where nobody spoke, it is not applicable."""

    def judged(trace: Trace, _known: Known) -> Verdict:
        if "no switch" in trace.seen:
            return inapplicable(
                "没有可写的数据点 microphone", "no data point microphone that can be set"
            )
        if name in trace.seen and trace.seen[name].spoken:
            return judge(trace.seen[name], trace)
        if any(isinstance(each, Utterance) and each.spoken for each in trace.seen.values()):
            return inapplicable("前一句话没有语音段", "of the utterance before it no segment came")
        return inapplicable(
            "没有人对它说话：用 --speak 或 --hand", "nobody spoke to it: give --speak or --hand"
        )

    return judged


def heard(judge: Callable[[list[VoiceSegment], Utterance], Verdict]) -> Judged:
    """Return a judge of an utterance's segments, where there are any that can be read."""

    def judged(utterance: Utterance, _trace: Trace) -> Verdict:
        found = read(utterance.pieces)
        if not found:
            return inapplicable("没有可读的语音段", "there was no segment that can be read")
        return judge(found, utterance)

    return judged


def read(pieces: list[Piece]) -> list[VoiceSegment]:
    """Return the segments that can be read."""
    found = []
    for each in pieces:
        try:
            found.append(parse_segment(each.value))
        except WireError:
            continue
    return found


def sounding(judge: Callable[[Sound], Verdict]) -> Judged:
    """Return a judge of what an utterance sounds like, where it can be decoded."""

    def judged(found: list[VoiceSegment], _utterance: Utterance) -> Verdict:
        rate, data = found[0].rate, tuple(each.voice_data for each in found)
        try:
            return judge(measure(rate, decode(rate, data)))
        except SpeexUnavailableError as error:
            return inapplicable("这台电脑没有 libspeex1", str(error))
        except (VoiceError, SpeexDecodeError) as error:
            return inapplicable("解不出声音", f"it cannot be decoded: {error}")

    return heard(judged)


# Form.


def form(utterance: Utterance, _trace: Trace) -> Verdict:
    """Whether somebody who speaks is heard, and each segment has the document's members."""
    if not utterance.pieces:
        return failed("有人说话，没有语音段", "somebody spoke, and no segment came")
    for each in utterance.pieces:
        try:
            parse_segment(each.value)
        except WireError as error:
            return failed(str(error), str(error))
    return passed(f"{len(utterance.pieces)} 段", f"{len(utterance.pieces)} segments")


def one_id(found: list[VoiceSegment], _utterance: Utterance) -> Verdict:
    """Whether all segments of an utterance have one id, in the document's range."""
    ids = {each.id for each in found}
    if len(ids) > 1:
        return failed(f"一句话有 {len(ids)} 个 id", f"one utterance has {len(ids)} ids")
    if not ID_FIRST <= found[0].id <= ID_LAST:
        return warned(f"id {found[0].id}", f"id {found[0].id}, expected {ID_FIRST} to {ID_LAST}")
    return passed(f"id {found[0].id}", f"id {found[0].id}")


def next_id(second: Utterance, trace: Trace) -> Verdict:
    """Whether the next utterance has the next id."""
    before, after = read(trace.seen["first"].pieces), read(second.pieces)
    if not before or not after:
        return inapplicable("没有两句话", "there were no two utterances")
    was, is_now = before[-1].id, after[-1].id
    if was == is_now:
        return failed(f"两句话都是 {was}", f"both utterances are {was}")
    if is_now != next_utterance_id(was):
        return warned(f"{was} 之后是 {is_now}", f"after {was} comes {is_now}")
    return passed(f"{was}、{is_now}", f"{was}, {is_now}")


def numbering(utterance: Utterance, _trace: Trace) -> Verdict:
    """Whether segments count from 0, without a gap."""
    numbers = [
        value.get("segment") for each in utterance.pieces if isinstance(value := each.value, dict)
    ]
    if not numbers:
        return inapplicable("没有语音段", "there was no segment")
    if numbers != list(range(len(numbers))):
        return failed(f"段号 {numbers}", f"the segments are {numbers}")
    return passed(f"0 到 {numbers[-1]}", f"0 to {numbers[-1]}")


def ends(found: list[VoiceSegment], _utterance: Utterance) -> Verdict:
    """Whether the last segment, and no other one, has ``eof`` and no voice."""
    marks = [each.eof for each in found]
    if not any(marks):
        return failed("没有 eof", "there was no eof")
    if marks.index(True) != len(marks) - 1:
        return failed("eof 之后还有语音段", "segments follow the eof")
    if found[-1].voice_data:
        return failed("eof 段带着 voice_data", "the segment with eof has voice_data")
    return passed("最后一段", "the last segment")


def headers(found: list[VoiceSegment], utterance: Utterance) -> Verdict:
    """Whether all frames have one style of header, which is that of the report's key."""
    keys = {each.key for each in utterance.pieces}
    styles = {style for each in found for style in _styles(each)}
    if not styles:
        return inapplicable("没有帧", "there were no frames")
    if len(styles) > 1 or len(keys) > 1:
        return failed("混用了两种头", f"it mixes {sorted(styles)} under {sorted(keys)}")
    style, key = styles.pop(), keys.pop()
    if style == "?":
        return failed("读不懂的头", "headers that nobody can read")
    if HeaderStyle(style).report_key != key:
        return warned(f"{key} 下面是 {style}", f"{style} under {key}")
    return passed(f"{key}、{style}", f"{style} under {key}")


def _styles(segment: VoiceSegment) -> set[str]:
    """Return the styles of a segment's headers; "?" is none."""
    data, found, at = segment.voice_data, set(), 0
    while at < len(data):
        head = data[at : at + 4]
        is_marked = head[1:] in _MARKS.values()
        if is_marked and head[1:] != _MARKS[segment.rate]:
            return {"?"}
        size = head[0] if is_marked else int.from_bytes(head, "little")
        if not 0 < size <= len(data) - at - 4:
            return {"?"}
        found.add(str(HeaderStyle.SPX if is_marked else HeaderStyle.LENGTH32))
        at += 4 + size
    return found


def frames(found: list[VoiceSegment], _utterance: Utterance) -> Verdict:
    """Whether libspeex decodes each frame."""
    try:
        fault = fault_of(found[0].rate, tuple(each.voice_data for each in found))
    except SpeexUnavailableError as error:
        return inapplicable("这台电脑没有 libspeex1", str(error))
    if fault:
        return failed(fault, fault)
    count = sum(len(unpack_frames(each.voice_data)) for each in found)
    return passed(f"{count} 帧", f"{count} frames")


def sizes(found: list[VoiceSegment], _utterance: Utterance) -> Verdict:
    """Whether a segment has at most fifteen frames, and the bytes that a client of 2017 reads."""
    is_late = any(str(HeaderStyle.SPX) in _styles(each) for each in found)
    limit = (HeaderStyle.SPX if is_late else HeaderStyle.LENGTH32).max_bytes
    most = max(len(each.voice_data) for each in found)
    try:
        count = max(len(unpack_frames(each.voice_data)) for each in found)
    except VoiceError:
        return inapplicable("分不出帧", "it cannot be split into frames")
    if most > limit or count > MAX_FRAMES:
        return warned(
            f"一段有 {count} 帧、{most} 字节",
            f"a segment has {count} frames, {most} bytes; expected {MAX_FRAMES}, {limit}",
        )
    return passed(f"最多 {count} 帧、{most} 字节", f"at most {count} frames, {most} bytes")


def one_rate(utterance: Utterance, _trace: Trace) -> Verdict:
    """Whether the rate is 8,000 or 16,000 and stays so."""
    found = [
        value.get("rate") for each in utterance.pieces if isinstance(value := each.value, dict)
    ]
    if not found:
        return inapplicable("没有语音段", "there was no segment")
    if len(set(map(str, found))) > 1:
        return failed(
            f"采样率变了：{sorted(set(map(str, found)))}",
            f"the rate changes: {sorted(set(map(str, found)))}",
        )
    if found[0] not in RATES:
        return failed(f"rate 是 {found[0]}", f"rate is {found[0]}, expected 8000 or 16000")
    return passed(f"{found[0]}", f"{found[0]}")


# Time.


def first(utterance: Utterance, _trace: Trace) -> Verdict:
    """Whether the first segment comes soon."""
    if not utterance.pieces:
        return inapplicable("没有语音段", "there was no segment")
    wait = utterance.pieces[0].at - utterance.asked
    if wait > FIRST_MOST:
        return failed(
            f"{seconds(wait)} 后才有第一段", f"the first segment came after {seconds(wait)}"
        )
    if wait > FIRST_GOOD:
        return warned(
            f"{seconds(wait)} 后才有第一段", f"the first segment came after {seconds(wait)}"
        )
    return passed(f"{seconds(wait)} 后", f"after {seconds(wait)}")


def live(found: list[VoiceSegment], utterance: Utterance) -> Verdict:
    """Whether segments come while somebody speaks, and not all at its end."""
    try:
        count = sum(len(unpack_frames(each.voice_data)) for each in found)
    except VoiceError:
        return inapplicable("分不出帧", "it cannot be split into frames")
    length = count * 0.02
    if length < LIVE_FROM_SECONDS:
        return inapplicable(f"只有 {seconds(length)}", f"only {seconds(length)} of voice")
    over = utterance.pieces[-1].at - utterance.pieces[0].at
    if over < LIVE_PART * length:
        return warned(
            f"{seconds(length)} 的话在 {seconds(over)} 里发来",
            f"{seconds(length)} of voice came within {seconds(over)}",
        )
    gap = max((b.at - a.at for a, b in pairwise(utterance.pieces)), default=0.0)
    return passed(
        f"{seconds(length)} 的话用了 {seconds(over)}，最长间隔 {seconds(gap)}",
        f"{seconds(length)} of voice over {seconds(over)}, at most {seconds(gap)} apart",
    )


# Sound.


def loudness(sound: Sound) -> Verdict:
    """Whether speech is as loud as a recogniser wants it."""
    told = f"{sound.loudness:.0f} dBFS"
    if sound.loudness < DEAF:
        return failed(f"听不见：{told}", f"nothing is heard: {told}")
    if sound.loudness < QUIET:
        return warned(f"太轻：{told}", f"too quiet: {told}")
    if sound.loudness > LOUD:
        return warned(f"太响：{told}", f"too loud: {told}")
    return passed(told, told)


def clipping(sound: Sound) -> Verdict:
    """Whether speech is not cut off at full scale."""
    told = f"{sound.clipped:.2%}"
    if sound.clipped > CLIPPED_MANY:
        return failed(f"削顶的样本 {told}", f"{told} of the samples are cut off")
    if sound.clipped > CLIPPED_SOME:
        return warned(f"削顶的样本 {told}", f"{told} of the samples are cut off")
    return passed(told, told)


def silence(sound: Sound) -> Verdict:
    """Whether little silence is sent around a sentence."""
    told_zh = f"前 {seconds(sound.lead)}，后 {seconds(sound.tail)}，共 {seconds(sound.seconds)}"
    told = f"{seconds(sound.lead)} before, {seconds(sound.tail)} after, of {seconds(sound.seconds)}"
    if sound.loudness >= DEAF and (sound.lead > LEAD_MOST or sound.tail > TAIL_MOST):
        return warned(f"静音太长：{told_zh}", f"too much silence: {told}")
    return passed(told_zh, told)


# Nobody should be heard.


def unasked(utterance: Utterance, _trace: Trace) -> Verdict:
    """Whether nothing is sent before somebody wishes to speak."""
    if utterance.before:
        count = len(utterance.before)
        return failed(f"没有人按键就发了 {count} 段", f"{count} segments came before anybody asked")
    return passed("没有", "none")


def keeps_silent(utterance: Utterance, trace: Trace) -> Verdict:
    """Whether nothing is sent while the microphone is off, by a machine that is heard while it is on."""
    if utterance.pieces:
        count = len(utterance.pieces)
        return failed(f"静音时发了 {count} 段", f"it sent {count} segments while muted")
    if not trace.seen["heard"]:
        return inapplicable("不静音时也听不到它", "it is not heard while it is not muted either")
    return passed("什么也没有发", "nothing was sent")


def drops(cut: Utterance, trace: Trace) -> Verdict:
    """Whether the rest of an utterance whose link was cut is not sent late."""
    if not cut.pieces:
        return inapplicable("没有语音段", "there was no segment")
    if trace.seen["back"] is None:
        return failed("断线之后没有回来", "after the cut it did not come back")
    late: list[Piece] = trace.seen["late"]
    if late:
        return failed(
            f"重连后补发了 {len(late)} 段",
            f"{len(late)} segments came late, on the next connection",
        )
    return passed("断了就不发", "what was cut is not sent")


def speaks_again(again: Utterance, trace: Trace) -> Verdict:
    """Whether the next utterance after a cut is whole, and has an id of its own."""
    found = read(again.pieces)
    if not found:
        return failed(
            "断线之后再说，没有语音段", "after the cut somebody spoke, and no segment came"
        )
    cut = read(trace.seen["cut"].pieces)
    if cut and cut[-1].id == found[-1].id:
        return failed(f"还是 {found[-1].id} 号", f"it is {found[-1].id} once more")
    if [each.segment for each in found] != list(range(len(found))) or not found[-1].eof:
        return failed("断线之后的那句话不完整", "the utterance after the cut is not whole")
    return passed(f"id {found[-1].id}", f"id {found[-1].id}")


_SPEAK, _MUTED, _CUT = "speak", "muted", "cut speech"
CHECKS = (
    Check(
        "voice.form", Text("语音段的格式", "The form of voice segments"), SEGMENT,
        Text("每段带 id、segment、rate、channel、eof", "Give each segment id, segment, rate, channel and eof"), _SPEAK, of("first", form),
    ),
    Check(
        "voice.id", Text("一句话一个 id", "One id for one utterance"), f"{SEGMENT}: id",
        Text("一句话里 id 不变", "Keep the id through an utterance"), _SPEAK, of("first", heard(one_id)),
    ),
    Check(
        "voice.next-id", Text("下一句的 id", "The next utterance's id"), f"{SEGMENT}: id, then +1 each",
        Text("每句加一", "Count up by one"), _SPEAK, of("second", next_id),
    ),
    Check(
        "voice.numbering", Text("段号", "Numbers of segments"), f"{SEGMENT}: segment counts up from 0",
        Text("每句从 0 起，逐段加一", "Begin at 0, and count each segment"), _SPEAK, of("first", numbering),
    ),
    Check(
        "voice.eof", Text("最后一段", "The last segment"), f"{SEGMENT}: eof 1 and no voice_data",
        Text("说完发一段 eof 1，不带 voice_data", "End with a segment of eof 1 without voice_data"), _SPEAK, of("first", heard(ends)),
    ),
    Check(
        "voice.headers", Text("帧的头", "Headers of frames"), f"{SEGMENT}: a 4-byte header",
        Text("整句用一种头，与上报的键相配", "Use one style, that of the report's key"), _SPEAK, of("first", heard(headers)),
    ),
    Check(
        "voice.frames", Text("libspeex 解得开", "libspeex decodes it"), f"{SEGMENT}: Speex frames",
        Text("每帧 20 ms，窄带或宽带模式", "Encode 20 ms a frame, narrowband or wideband"), _SPEAK, of("first", heard(frames)),
    ),
    Check(
        "voice.size", Text("段的大小", "The size of segments"), f"{SEGMENT}: fifteen to a segment, 630 bytes; 597 bytes",
        Text("每段至多十五帧", "At most fifteen frames a segment"), _SPEAK, of("first", heard(sizes)),
    ),
    Check(
        "voice.rate", Text("采样率", "The rate"), f"{SEGMENT}: rate",
        Text("整句用 8000 或 16000", "Use 8000 or 16000 throughout"), _SPEAK, of("first", one_rate),
    ),
    Check(
        "voice.first", Text("第一段来得快", "The first segment comes soon"), f"{LISTENING}, What records",
        Text("麦克风开得快些，边录边发", "Open the microphone sooner, and send while it records"), _SPEAK, of("first", first),
    ),
    Check(
        "voice.live", Text("边说边发", "Sent while it is spoken"), f"{SEGMENT}: fifteen to a segment = 300 ms",
        Text("每 300 ms 发一段", "Send a segment every 300 ms"), _SPEAK, of("first", heard(live)),
    ),
    Check(
        "voice.loudness", Text("响度", "Loudness"), LISTENING,
        Text("调麦克风的增益", "Set the microphone's gain"), _SPEAK, of("first", sounding(loudness)),
    ),
    Check(
        "voice.clipping", Text("削顶", "Clipping"), LISTENING,
        Text("减小麦克风的增益", "Turn the microphone's gain down"), _SPEAK, of("first", sounding(clipping)),
    ),
    Check(
        "voice.silence", Text("静音", "Silence"), f"{LISTENING}, What is speech",
        Text("说之前与说完之后少发静音", "Send less silence before and after a sentence"), _SPEAK, of("first", sounding(silence)),
    ),
    Check(
        "voice.unasked", Text("没人说话不发", "Nothing before anybody asks"), f"{LISTENING}, States",
        Text("没有人要说话时麦克风关着", "Keep the microphone closed until somebody asks"), _SPEAK, of("first", unasked),
    ),
    Check(
        "voice.muted", Text("静音时什么也不发", "Nothing while muted"), f"{LISTENING}, States; docs/data-points.md: microphone",
        Text("microphone 是 false 时不录也不发", "Record and send nothing while microphone is false"), _MUTED, of("muted", keeps_silent),
    ),
    Check(
        "voice.cut", Text("断线时的话不补发", "Nothing of a cut utterance comes late"), f"{LISTENING}: nothing is sent late",
        Text("断线就丢掉这句话", "Drop an utterance whose link is lost"), _CUT, of("cut", drops),
    ),
    Check(
        "voice.after-cut", Text("断线之后再说", "Speaking again after a cut"), f"{LISTENING}, The answer",
        Text("下一句从新的 id 与 0 号段开始", "Begin the next utterance with a new id and segment 0"), _CUT, of("again", speaks_again),
    ),
)  # fmt: skip
