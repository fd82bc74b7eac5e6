"""The sleep timer as families say it, in Chinese and English: a sentence in, a `Timer` out.

二十分钟后停, 一个半小时, 八点半停, 再听两个就停, 听完这个就停, 取消定时; stop in 20 minutes, at 8:30, after this story. The whole
sentence must be such a form, with polite words around it: "讲三只小猪" is no timer. 再听两个 without an
end (就停) is a wish for more, and none either. Minutes are rounded up to whole ones.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction

from wire.numerals import numeral
from wire.sentence import normalise
from wire.sleep import END, OFF, Timer, after, at, minutes
from wire.spoken_time import CHINESE_TIME, COLON, ENGLISH_TIME, mark_colons, read_time
from wire.text import fold

# Characters of a sentence that can be such a form; longer ones are not tried.
SENTENCE_LIMIT = 60
_HOUR, _QUARTER, _MINUTE = Fraction(60), Fraction(15), Fraction(1)
_SECOND = Fraction(1, 60)
_HALF = Fraction(1, 2)
# 1.5 would lose its point with the other marks. 八点五分 is a time of day, 一点五小时 is not.
_DECIMAL = re.compile(r"(\d)\.(?=\d)")
_MARK = "p"
_POINTS = f"[{_MARK}点]"


def read_timer(sentence: str) -> Timer | None:
    """Return the timer that a sentence asks for, None if it is no such form.

    Raises:
        FieldError: it is one, and its minutes or stories are out of range.
    """
    text = normalise(_DECIMAL.sub(rf"\1{_MARK}", mark_colons(fold(sentence))))
    if len(text) > SENTENCE_LIMIT:
        return None
    for form, read in _FORMS:
        match = form.fullmatch(text)
        try:
            timer = read(match, sentence) if match else None
        except _NoNumberError:
            continue
        if timer is not None:
            return timer
    return None


class _NoNumberError(ValueError):
    """What stands in a number's place is none, as 二十十."""


def _time(match: re.Match[str], sentence: str) -> Timer | None:
    if not any(match.groups()):  # 停 alone: each part of a duration may be missing, but not all
        return None
    total = sum(
        (
            _HOUR * _amount(match, "hours", "hours_half"),
            _HOUR * _HALF * bool(match["half_hour"]),
            _QUARTER * _amount(match, "quarters"),
            _MINUTE * _amount(match, "minutes", "minutes_half"),
            _SECOND * _amount(match, "seconds"),
        ),
        Fraction(0),
    )
    return minutes(math.ceil(total), sentence)


def _amount(match: re.Match[str], name: str, half: str = "") -> Fraction:
    parts = match.groupdict()
    said = parts.get(name)
    more = _HALF if half and any(parts.get(f"{half}{n}") for n in ("", "_after")) else Fraction(0)
    return (_number(said) if said else Fraction(0)) + more


def _number(said: str) -> Fraction:
    """Read 20, 二十, 一点五 (1.5), twenty five, a; raises _NoNumberError."""
    whole, *tenths = re.split(_POINTS, said)
    if tenths:
        digits = "".join(str(int(_number(digit))) for digit in tenths[0])
        return _number(whole) + Fraction(int(digits), 10 ** len(digits))
    if said.isascii() and said.isdigit():
        return Fraction(int(said))
    value = numeral(said)
    if value is None:
        words = said.split()
        if not _WORDS.keys() >= set(words):
            raise _NoNumberError(said)
        value = sum(_WORDS[word] for word in words)
    return Fraction(value)


def _clock(match: re.Match[str], _sentence: str) -> Timer | None:
    times = read_time(match, _number)
    return None if times is None else at(*times)


def _stories(match: re.Match[str], sentence: str) -> Timer | None:
    return after(int(_number(match["stories"])), sentence)


def _these(match: re.Match[str], sentence: str) -> Timer | None:
    """Read 听完这两个: the story that plays is one of them."""
    others = int(_number(match["stories"])) - 1
    return after(others, sentence) if others else END


def _next(_match: re.Match[str], _sentence: str) -> Timer | None:
    return after(1)


def _end(_match: re.Match[str], _sentence: str) -> Timer | None:
    return END


def _off(_match: re.Match[str], _sentence: str) -> Timer | None:
    return OFF


_ONES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
         "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS = {
    **{word: value for value, word in enumerate(_ONES)},
    **{word: 10 * value for value, word in enumerate(_TENS, start=2)},
    "a": 1, "an": 1,
}  # fmt: skip

# Chinese. Digits of one number are read as one: 二十, 20, and not 2十.
_N = "(?:[0-9]{1,6}|[零〇一二两三四五六七八九十百廿卅]{1,8})"
_DECIMALS = f"{_N}(?:{_POINTS}(?:[0-9]{{1,2}}|[零一二三四五六七八九]{{1,2}}))?"
_DIGITS = f"(?:[0-9]{{1,6}}{_MARK}[0-9]{{1,2}}|{_N})"
_HOUR_WORD = "个?(?P<hours_half>半)?(?:小时|钟头|钟)(?P<hours_half_after>半)?"
_DURATION = (
    f"(?:(?P<hours>{_DECIMALS}){_HOUR_WORD}|(?P<half_hour>半)个?(?:小时|钟头|钟))?[零又加过]?"
    f"(?:(?P<quarters>{_N})刻钟?)?"
    f"(?:(?P<minutes>{_DIGITS})分(?P<minutes_half>半)?(?:钟(?P<minutes_half_after>半)?)?)?"
    f"(?:(?P<seconds>{_N})秒钟?)?"
)
_POLITE = "(?:请|麻烦|帮我|给我|替我|我[想要]|那|好[了的]?|你|就|嗯|让它)*"
_ENDS = "(?:播放|[吧了啊呀哦啦哈嘛呢]|好吗|好不好|可以吗|行吗|行不行|谢谢|睡觉)*"
_IT = "(?:把?(?:故事机?|音乐|儿歌|歌曲?|机器|音箱|它)|给我|自动|帮我)*"
_STOP = (
    f"(?:{_IT}(?:停[止播]?|停下来?|停掉|关机?|关[掉闭了]|结束|休息|暂停|睡觉?|安静|闭嘴"
    "|(?:别|不要|不用|不)再?[放播听讲唱响]了?)(?:播放|故事|音乐)?)"
)
_LATER = "(?:以后|之后|过后|后|左右|的?时候|到了?|[就再才]|自动)*"
_ABOUT = (
    "(?:大约|大概|差不多|最多|只|只能|只许|再|过|等|在|先|还|还有|可以|[听放播讲唱玩看来]|播放)*"
)
_TRACK = "[首曲个则集段支章回篇节]"
_KIND = "(?:小?故事|歌曲?|儿歌|音乐|节目|曲子)?"
_TIMER = "(?:睡眠|自动|关机|停止|睡觉)*(?:定时|计时|倒计时)(?:器|关机|关闭|停止|睡眠)*"
# 定一个半小时 is 90 minutes.
_SET = "(?:设置?|设定|设成|定|开|打开|来|启动|改成?|调[到成])?(?:一个(?!半)|个)?"
_THIS = f"(?:(?:[这那]一?{_TRACK}?|本{_TRACK}|(?:当前|现在|正在[放播听讲唱])(?:的|这{_TRACK})*)的?{_KIND})"
_HEAR = "(?:[听放播讲唱演说]|播放)"
_DONE = "(?:完了?|结束了?|没了)"
_CHINESE: tuple[tuple[str, Callable[[re.Match[str], str], Timer | None]], ...] = (
    (f"{_SET}{_TIMER}(?:为|成|到|在)?{_DURATION}{_LATER}{_STOP}?", _time),
    (f"{_SET}{_DURATION}的?{_TIMER}{_STOP}?", _time),
    (f"{_ABOUT}{_DURATION}{_LATER}{_STOP}?", _time),
    (f"{_STOP}{_ABOUT}{_DURATION}{_LATER}", _time),
    (f"{_ABOUT}完?(?:最后)?(?P<stories>{_N}){_TRACK}{_KIND}完?{_LATER}{_STOP}", _stories),
    (f"(?:等|先|只)*{_HEAR}完[这那](?P<stories>{_N}){_TRACK}{_KIND}{_LATER}{_STOP}", _these),
    (f"(?:等|先|只)*{_HEAR}{_DONE}{_THIS}?{_LATER}{_STOP}", _end),
    (f"(?:等|到|在|先|只)*{_THIS}{_HEAR}?{_DONE}{_LATER}{_STOP}", _end),
    (f"(?:等|到|在)*{_THIS}的?(?:结尾|结束|末尾|最后)(?:的?时候)?{_LATER}{_STOP}?", _end),
    (f"(?:这|这个)?是?最后一?{_TRACK}{_KIND}", _end),
    (
        f"{_ABOUT}(?:到|等到|在)?{CHINESE_TIME}(?:的?时候?|以后|之后|就|再|才|自动|准时)*{_STOP}",
        _clock,
    ),
    (f"{_HEAR}到{CHINESE_TIME}(?:为止|就|再)*{_STOP}?", _clock),
    (f"{_SET}{_TIMER}(?:为|成|到|在)?{CHINESE_TIME}{_STOP}?", _clock),
    (f"(?:取消|关闭|关掉|去掉|不要|停止|撤销|删除?|清除|解除|不用|别)了?{_TIMER}", _off),
    (f"(?:把)?{_TIMER}(?:取消|关闭|关掉|去掉|删除?|清除|解除)", _off),
    ("(?:先|都)?(?:别|不要|不用|不许|先别)(?:自动)?(?:停止?|关机?)(?:下来|掉)?", _off),
)

# English.
_EN_N = (
    f"(?:[0-9]{{1,6}}|an?|(?:{'|'.join(_TENS)})(?: (?:{'|'.join(_ONES[1:10])}))?|{'|'.join(_ONES)})"
)
_EN_DURATION = (
    f"(?:(?P<hours>{_EN_N}(?:{_MARK}[0-9]{{1,2}})?) ?(?:more )?(?P<hours_half>and a half )?(?:hours?|h)"
    "(?P<hours_half_after> and a half)?|(?P<half_hour>half) (?:an? )?hour)?"
    "(?: ?and )? ?(?:(?P<quarters>a|three) quarters?(?: of)? an? hour)?"
    f"(?:(?P<minutes>{_EN_N}(?:{_MARK}[0-9]{{1,2}})?) ?(?:more )?(?P<minutes_half>and a half )?(?:minutes?|mins?|m)"
    "(?P<minutes_half_after> and a half)?)?"
    f"(?:(?: and)? ?(?P<seconds>{_EN_N}) ?(?:seconds?|secs?|s))?"
)
_IT_EN = "(?: it| playing| everything| (?:the|this|that) (?:story|stories|song|music|player|machine|sound|speaker))?"
_EN_STOP = (
    f"(?:(?:stop|end|pause|finish){_IT_EN}|(?:turn|switch|shut){_IT_EN} off{_IT_EN}|shut{_IT_EN} down"
    "|(?:go to )?sleep|off|be quiet|quiet|good night|goodnight)"
)
_EN_KIND = "(?:stor(?:y|ies)|songs?|tracks?|chapters?|episodes?|ones?|titles?)"
_EN_THIS = f"(?:(?:this|that|the|the current|current)(?: {_EN_KIND})?|it)"
_EN_OVER = "(?:is |s )?(?:over|ends?|ended|finished|finishes|done|stops?)"
_EN_PLAY = "(?:(?:(?:keep|continue|go on) )?(?:play|listen)(?:ing)?(?: it)? )?"
_EN_TIMER = "(?:a |an |the |my |any )?(?:sleep )?(?:timer|countdown)"
_PLEASE = "(?:please |can you |could you |now |then |ok |okay )*"
_ENGLISH: tuple[tuple[str, Callable[[re.Match[str], str], Timer | None]], ...] = (
    (
        f"(?:{_EN_STOP} )?(?:in|after|for) {_EN_DURATION}(?: from now)?(?: then)?(?: {_EN_STOP})?",
        _time,
    ),
    (f"(?:(?:set|start|make|put) )?{_EN_TIMER}(?: (?:for|to|of|in|on))? {_EN_DURATION}", _time),
    (f"(?:(?:set|start|make) )?(?:a |an |the )?{_EN_DURATION}(?: sleep)? timer", _time),
    (
        f"{_EN_PLAY}(?:only )?(?:for )?(?:another )?{_EN_DURATION}(?: more)?(?:(?: and)?(?: then)? {_EN_STOP})?",
        _time,
    ),
    (f"{_EN_STOP} {_EN_DURATION}(?: from now)?", _time),
    (
        f"(?:{_EN_STOP} )?after (?P<stories>{_EN_N}) (?:more |other )?{_EN_KIND}(?: {_EN_STOP})?",
        _stories,
    ),
    (
        f"(?:only |just )?(?P<stories>{_EN_N}) (?:more(?: {_EN_KIND})?|(?:other )?{_EN_KIND})(?: and)?(?: then)? {_EN_STOP}",
        _stories,
    ),
    (
        f"(?:{_EN_STOP} )?(?:after|at the end of|when|once)(?: {_EN_THIS})(?: {_EN_OVER})?(?: {_EN_STOP})?",
        _end,
    ),
    (f"{_EN_STOP} (?:at|by) {ENGLISH_TIME}", _clock),
    (f"(?:at|by) {ENGLISH_TIME} {_EN_STOP}", _clock),
    (
        f"(?:keep |go on )?(?:play|listen)(?:ing)?(?: it)? (?:until|till) {ENGLISH_TIME}(?:(?: and)?(?: then)? {_EN_STOP})?",
        _clock,
    ),
    (
        f"(?:(?:set|start|make|put) )?{_EN_TIMER} (?:for|to|at|until) (?=.*(?:{COLON}[0-9]|past|clock|[ap] ?m\\b)){ENGLISH_TIME}",
        _clock,
    ),
    (f"(?:{_EN_STOP} )?after the next {_EN_KIND}(?: {_EN_STOP})?", _next),
    ("(?:this is )?(?:the )?last (?:story|song|track|chapter|episode|one)", _end),
    (f"(?:cancel|stop|clear|remove|delete|end|no|(?:turn|switch) off) {_EN_TIMER}", _off),
    (f"(?:(?:turn|switch) )?{_EN_TIMER} off", _off),
    ("(?:don ?t|do not|never mind don ?t) (?:stop|turn off|switch off|sleep)", _off),
)
_FORMS = (
    *((re.compile(f"{_POLITE}(?:{form}){_ENDS}"), read) for form, read in _CHINESE),
    *((re.compile(f"{_PLEASE}(?:{form})(?: please| thanks| thank you)?"), read) for form, read in _ENGLISH),
)  # fmt: skip
