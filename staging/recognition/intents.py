"""Finds the intent of a sentence by rules: the earliest command in it, and of those the longest.

The commands are those of the data points play and volume (open API 3.1: 播放…, 上一首, 下一首, 暂停,
继续, 停止, 调高/调低音量, 音量调到…), in the forms that children say and recognisers write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from staging.recognition import phonetics
from staging.recognition.chatter import TRACKS, is_negated, is_order, is_own
from staging.recognition.text import NUMERAL, parse_numeral
from wire.errors import FieldError
from wire.sentence import normalise
from wire.spoken import read_timer
from wire.text import fold

# "a bit louder": two of the document's seventeen steps are audible and do not startle.
VOLUME_STEP = 2
PERCENT_MAX = 100
# In a sentence without a command, words that sound like one: at most one confused initial or final.
HEARD_AS_LIMIT = 0.3


class Action(StrEnum):
    """The action that a sentence asks for."""

    PLAY = "play"
    PLAY_ANY = "play-any"
    """Something, whichever: 讲个故事."""
    NEXT = "next"
    PREVIOUS = "previous"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    RESTART = "restart"
    VOLUME_UP = "volume-up"
    VOLUME_DOWN = "volume-down"
    VOLUME_SET = "volume-set"
    SLEEP_TIMER = "sleep-timer"
    DECLINE = "decline"
    """None of the titles that were offered."""
    NOTHING = "nothing"
    """What was said is not wanted: 不要下一首."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What a sentence asks for; ``title`` belongs to PLAY, ``amount`` to the volume actions.

    PLAY_ANY has the kind of thing as its ``title`` (故事, 儿歌, or nothing): it may be a folder's name.

    ``timer`` belongs to SLEEP_TIMER: the value of the data point ``sleep_timer``.

    ``amount`` is the number of steps up or down, or the level to set: in the units of the data
    point, or with ``percent`` in per cent of its range (0 to 100).
    """

    action: Action
    title: str = ""
    amount: int | None = None
    percent: bool = False
    timer: str = ""

    def to_json(self) -> dict[str, object]:
        """Return the JSON object for the console, with only the members that the action uses."""
        value: dict[str, object] = {"action": self.action.value}
        if self.action is Action.PLAY or self.title:
            value["title"] = self.title
        if self.action is Action.SLEEP_TIMER:
            value["timer"] = self.timer
        if self.amount is not None:
            value |= {"amount": self.amount, "percent": self.percent}
        return value


_TRACK = f"[{TRACKS}]"
_SOUND = "(?:音量|声音)"
_KIND = "(?:歌曲?|故事)?"
_BIT = "一?[点些]"
# 下一个妈妈讲 is of a game.
_HIS_TURN = "(?:妈妈|爸爸|弟弟|妹妹|哥哥|姐姐|奶奶|爷爷|宝宝|老师|[我你他她])[来讲说唱玩]了?$"
_DO_NOT = "(?:别|不要?|不想要?|不用|不许|(?<!能)不能)"
_SIMPLE: tuple[tuple[Action, str], ...] = (
    (
        Action.NEXT,
        (
            f"(?:下一?|(?<!最)后一){_TRACK}{_KIND}(?!{_HIS_TURN})|换一?{_TRACK}(?:别的)?{_KIND}|切歌|跳过"
            f"|再[来听放播讲唱]一?{_TRACK}{_KIND}[吧嘛呀]?$"
        ),
    ),
    (Action.PREVIOUS, f"[上前]一?{_TRACK}{_KIND}"),
    (
        Action.STOP,
        (
            "停止|停下来?|^(?:请|快|把[它这]个?|给我|都)?停[吧了掉]?$|关掉|关了|^关[机上闭][吧了]?$"
            f"|{_DO_NOT}再?(?:给我)?(?:播放|[放播唱讲听])了?"
        ),
    ),
    (
        Action.RESTART,
        (
            "(?:再[来听放播讲唱]|重新(?:播放?|[放讲听来唱])|从头再?(?:播放?|[放讲听来唱]))(?:一?[遍次])?[吧嘛]?$"
            "|重新开始|从头(?:开始)?[吧嘛]?$"
        ),
    ),
    (Action.PAUSE, f"暂停|(?:先|停|等)停?一下|先停|{_DO_NOT}再?继续"),
    (
        Action.RESUME,
        "继续|接着[放播唱讲听]?|恢复|^开始[吧了]?$|(?:别|不要|不许|不用)(?:暂停|停止?|关)",
    ),
)
_TURN = "[调设开变改加减升降]"
_LEAD = f"(?:{_SOUND}{_TURN}?|{_TURN}|[放再更])?"
_TOO = "(?:太|有点儿?|(?:别|不要|不用)(?:太|这么|那么)?)"
_UP = (
    f"{_LEAD}[大高响]{_BIT}|{_TURN}[大高响]|大声(?:{_BIT})?|[增加升]大?{_SOUND}|{_SOUND}[增加升]"
    f"|[提调]高|{_SOUND}?{_TOO}[小低轻]声|{_SOUND}{_TOO}[小低轻]"
    "|听不[到见清](?![你他她妈爸老])|(?:取消|解除|关[掉闭]?|不要|别|不用)静音"
)
_DOWN = (
    f"{_LEAD}[小低轻]{_BIT}|{_TURN}[小低轻]|[小轻]声(?:{_BIT})?|[减降]小?低?{_SOUND}|{_SOUND}[减降]"
    f"|[太好]吵|太响|{_SOUND}?{_TOO}[大高响]声|{_SOUND}{_TOO}[大高响]"
)
# The 一 of 一点 and the start of 一千 are not amounts.
_NUMBER_END = "(?![点些半千万])"
_AMOUNT = f"(?:{_SOUND})?(?:(?P<amount>{NUMERAL}+){_NUMBER_END})?[格级度下档]?"
_LEVEL = (
    f"(?:(?P<word>最[大高响小低轻]|一半)|百分之(?P<share>{NUMERAL}+)"
    f"|(?P<level>{NUMERAL}+){_NUMBER_END}(?P<sign>%)?)"
)
_SET = f"(?:{_SOUND}[放]?{_TURN}?[大小高低]?|{_TURN}[大小高低]?)[到为成至]{_LEVEL}"
_SET_BARE = f"{_SOUND}{_TURN}?{_LEVEL}"
_MUTE = "静音(?P<mute>)"
# With these a verb of the machine is another word, or tells of what was: 听见, 听了, 听妈妈的话, 放学, 讲话.
_WAS = "了(?!不起)|过(?!年|河|桥)|着|完"
_HEARD = f"(?!{_WAS}|到|见|说|懂|不[到见懂清]|话|课|写|力|众|(?:妈妈|爸爸|老师|奶奶|爷爷|我|你|他|她)(?:的?话|的|[说讲])$)"
_PUT = f"(?!{_WAS}|学(?!习)|假|心|手(?!绢|指)|屁|松|弃|下|进|回|开|在|风筝|鞭炮|烟花|烟火|暑假|寒假|桌|点?[盐糖水油](?:$|[了吧吗])|慢(?!羊)|[这那哪][里儿边]|好[了吧]|好(?:玩具|东西|书)|[在到])"
_TOLD = f"(?!{_WAS}|话|课|道理|礼貌|卫生|戏|台(?!湾)|座|解|究|述|师|片|歌(?:课|比赛|会))"
_PLAY = (
    f"播放|再[放播来听唱讲]一?[遍次]|讲一讲|唱一唱|放一放|听一听|(?:[给帮]我们?|可以|(?<!不)能)[放来唱讲](?!{_WAS})"
    f"|播一?{_TRACK}?|[想要]听{_HEARD}|(?<!好)听{_HEARD}(?:一?{_TRACK}|一下)?|[放来唱讲点]一?{_TRACK}"
    f"|[放唱讲]一下|^(?:请|我?[想要])?(?:放{_PUT}|[唱讲]{_TOLD})|(?<![a-z])play(?![a-z])"
)
# What names no title but only that something is to be heard, and the kind of it.
_ANY = re.compile(
    f"(?:随便|随意|任意|一?[{TRACKS}]|[点些]|一[点些]|新的?|好听的?|有趣的?|好玩的?|别的?|其他的?|什么|短的?|长的?|你的|我们?|我喜欢的?|喜欢的?)*"
    "(?P<kind>睡前故事|童话故事|故事|儿歌|歌曲?|童话|音乐|听)?"
)
_ANY_ALONE = re.compile(
    f"(?:你?都?有(?:什么|哪些)|睡不着|[我好太]*无聊啊?)?(?:我?(?:想要?|要))?(?:随便|随意)?(?:来|放|播放?|听|讲|唱)?(?:一?[点些]|一?{_TRACK})?(?:好听的?|别的)?"
    "(?P<kind>睡前故事|童话故事|故事|儿歌|歌曲?|童话|音乐)"
    f"|(?:随便|随意)(?:(?:[来放播讲唱听]|播放)(?:一?[{TRACKS}点些]|[听放])?(?:什么)?)?|有什么好听的"
    "|(?:随便|随意)?(?:[来放播讲唱听]|播放)?(?:一?[点些])?什么[都也]?(?:行|可以|好)"
    "|(?:please )?play (?:something|anything|a story|some music|music|a song)(?: please)?"
)
# English is read only where it is the whole sentence: "next" is in too many others.
_OBJECT = "(?: the)?(?: (?:one|song|story|track|music))?"
_LOUDNESS = "(?:it|the volume|the sound|the music|volume)"
_ENGLISH: tuple[tuple[Action, str], ...] = (
    (Action.NEXT, f"(?:go to )?(?:the )?next{_OBJECT}|skip(?: it| this)?{_OBJECT}"),
    (Action.PREVIOUS, f"(?:go to )?(?:the )?previous{_OBJECT}|go back"),
    (Action.STOP, f"stop(?: it| playing)?{_OBJECT}|(?:turn|switch) it off"),
    (
        Action.RESTART,
        "restart|start over|(?:play it )?(?:once )?again|from the (?:start|beginning)",
    ),
    (Action.PAUSE, f"pause(?: it)?{_OBJECT}"),
    (
        Action.RESUME,
        f"(?:resume|continue|unpause)(?: playing)?{_OBJECT}|go on|(?:don t|do not) (?:stop|pause)",
    ),
    (
        Action.VOLUME_UP,
        f"(?P<amount>)(?:(?:a bit |a little )?louder|turn {_LOUDNESS} up|turn up {_LOUDNESS}|volume up|unmute)",
    ),
    (
        Action.VOLUME_DOWN,
        f"(?P<amount>)(?:(?:a bit |a little )?(?:quieter|softer)|turn {_LOUDNESS} down|turn down {_LOUDNESS}|volume down)",
    ),
    (Action.VOLUME_SET, "mute(?: it)?(?P<mute>)"),
    (
        Action.VOLUME_SET,
        r"(?:set |turn )?(?:the )?volume (?:to |at )?(?P<level>\d+)(?: ?(?P<sign>%|percent))?(?P<word>)(?P<share>)",
    ),
)
_WORDS = {"大": 100, "高": 100, "响": 100, "小": 0, "低": 0, "轻": 0, "半": 50}

_RULES: tuple[tuple[Action, re.Pattern[str]], ...] = (
    *((action, re.compile(pattern)) for action, pattern in _SIMPLE),
    (Action.VOLUME_UP, re.compile(f"(?:{_UP}){_AMOUNT}")),
    (Action.VOLUME_DOWN, re.compile(f"(?:{_DOWN}){_AMOUNT}")),
    *((Action.VOLUME_SET, re.compile(pattern)) for pattern in (_SET, _SET_BARE, _MUTE)),
    (Action.PLAY, re.compile(_PLAY)),
    *(
        (action, re.compile(f"^(?:please )?(?:{pattern})(?: please)?$"))
        for action, pattern in _ENGLISH
    ),
)
_IS_NOT = re.compile(_DO_NOT)
_NOT_THIS = re.compile(f"一?[遍次]|{'|'.join(pattern for _, pattern in _SIMPLE[:2])}")
_PLAY_BEHIND = re.compile(f"(?:播放|[放播讲唱听])一?{_TRACK}?")
_WANTED = re.compile(
    "^(?:那就?|就|请|喂|嗨|嗯|我们?|你会?|[帮给]我|能不能|可不可以|可以|能|还|再|接着|[改换]成?|有没有|想要?|要|来|[这那]个)+"
    f"(?:播放|[放播讲唱听])?(?:一?{_TRACK})?"
)
_FORBIDS = re.compile(
    "(?:我们?|先|千万|那|就|也)*(?:不要|不想|不听|不用|不喜欢|不爱|不是|不许|不准|别)"
)
# 不要小红帽要白雪公主: the other one is wanted; but 别老是放小红帽 names only what is not.
_INSTEAD = re.compile(
    f"{_FORBIDS.pattern}[放讲唱播听]?(?!再|又|还|老|总|光|只|都|一直|每天|天天)(?:"
    "..+?(?:我?(?:要|想)听?|换成?|改[放讲唱播听]|而是)|(?<=[放讲唱播听])..+?[放讲唱播听]|(?<=不是)..+?是)(?P<wanted>.+)"
)
_REPEATED = re.compile(r"(.+?)\1+")
_TITLED = re.compile(f"^(?:请|麻烦|你|我|妈妈|爸爸)*(?:能不能|可不可以)?(?:{_PLAY})")
# 不要这个换一首: what is not wanted is this one, and what follows is an order of its own.
_THIS_ONE = f"(?:我)?(?:不要|不喜欢|不想听|不好听|不听|不爱听)(?:了|听|放)?(?:[这那][{TRACKS}]?(?:歌曲?|故事)?|它)(?:了|啦|啊)?"
_REFUSED = re.compile(
    f"^{_THIS_ONE}(?=.)|^(?:[这那][{TRACKS}]?(?:歌曲?|故事)?)(?:我)?(?:不要|不喜欢|不想听|不好听|不听)(?:了|啦)?(?=.)"
)
_MERELY_NO = re.compile(f"(?:不|不要|不对|不是|不好|不行|别|{_THIS_ONE})(?:了|啊|嘛)?|")
_CLAUSES = re.compile("[,，。.!！?？;；、…~～\n]+")
# A minus or a fraction, which `normalise` would drop: the level would be another one.
_NO_LEVEL = re.compile(r"[-\u2212\u2013]\s*\d|\d[.,]\d")
# Words around a title that are not part of it.
_BEFORE_TITLE = re.compile(
    f"^(?:一下|一?{_TRACK}|[这那]{_TRACK}|歌曲|儿歌(?=..)|歌(?=..)|故事(?=..)|叫|名叫|我)+"
)
_AFTER_TITLE = re.compile(
    f"(?:的?[这那]{_TRACK}?(?:歌曲?|故事)?|的(?:歌曲?|故事)|给我听|出来|好吗|好不好|可以吗|行吗|谢谢|[吧啊呀呢嘛吗了])+$"
)
_TITLE_FIRST = re.compile("把(?P<title>.+?)(?:播放?|放|唱|讲)(?:出来|一下|一遍|给我听)?$")

_GO_ON = re.compile(
    "^(?:先|都)?(?:别|不要|不许|不用)(?:自动)?(?:停|关)|^(?:don t|do not) (?:stop|pause)"
)

# Commands that a recogniser may write with other characters of the same sound.
_SAID = ("下一首", "上一首", "暂停", "继续", "停止", "播放", "调高音量", "调低音量", "音量调到",
         "调高", "调低", "大一点", "小一点", "大声", "小声")  # fmt: skip


def find_intent(sentence: str) -> Intent | None:
    """Return what a sentence asks for, or None if it contains no command.

    Raises:
        FieldError: it sets a sleep timer that is too long or too short, or a volume that is no
            whole number.
    """
    timer = read_timer(sentence)
    text = normalise(sentence)
    # 别停 and 不要停 mean what sounds, and 继续 keeps that on in a timer's last minute too.
    if timer is not None and not _GO_ON.search(text):
        return Intent(Action.SLEEP_TIMER, timer=str(timer))
    text = _REFUSED.sub("", _without_a_mere_no(sentence)) or text
    intent = _read(text) or _read(_as_heard(text)) or _read(_once(text))
    if intent is not None and intent.amount is not None and _NO_LEVEL.search(fold(sentence)):
        raise FieldError("volume", sentence, "a whole number that is not negative")
    return intent


def _without_a_mere_no(sentence: str) -> str:
    """Return the normalised sentence without a first clause that only refuses: 不要! 下一首."""
    clauses = [normalise(clause) for clause in _CLAUSES.split(sentence)]
    first, rest = clauses[0], "".join(clauses[1:])
    return rest if rest and _MERELY_NO.fullmatch(first) else normalise(sentence)


def named_after_play(sentence: str) -> tuple[str, ...]:
    """Return what a sentence that begins with 播放… names, in each way to read it; () of any other.

    Of 不要…要… it is the one that is wanted.

    A title may be a command (播放暂停, 播放停止的故事): only who knows the titles can tell.
    """
    text = normalise(sentence)
    verb = _TITLED.match(text)
    titled = _TITLE_FIRST.search(text)
    instead = _INSTEAD.fullmatch(text)
    rest = text[verb.end() :] if verb else titled["title"] if titled else ""
    rest = instead["wanted"] if instead else rest
    return tuple(dict.fromkeys(name for name in (rest.strip(), _clean(rest)) if name))


def named_alone(sentence: str) -> tuple[str, ...]:
    """Return what may be a title in a sentence without a command, in each way to read it.

    我要小兔子乖乖 may be a title, and has 小兔子乖乖.
    """
    text = normalise(sentence)
    once = _once(text)
    names = (text, once, _clean(_WANTED.sub("", once) or once))
    return tuple(dict.fromkeys(name for name in names if name))


def forbids(sentence: str) -> bool:
    """Return whether a sentence says what is not wanted: a title in it is not to be offered."""
    return bool(_FORBIDS.match(normalise(sentence)))


def _once(text: str) -> str:
    """Return a text without its repetitions: 停停停 is 停."""
    repeated = _REPEATED.fullmatch(text)
    return repeated[1] if repeated else text


def _read(text: str) -> Intent | None:
    anything = _ANY_ALONE.fullmatch(_AFTER_TITLE.sub("", text))
    if anything:
        return Intent(Action.PLAY_ANY, anything["kind"] or "")
    titled = _TITLE_FIRST.search(text)
    if titled and not _first(titled["title"]) and is_own(text[: titled.start()]):
        return Intent(Action.PLAY, _clean(titled["title"]))
    found = _first(text)
    return _found(text, *found) if found else None


def _found(text: str, action: Action, match: re.Match[str]) -> Intent | None:
    """Return what a command asks for where it stands in a sentence; None: it is no order, or not wanted."""
    before, after = text[: match.start()], text[match.end() :]
    if action is Action.PLAY:
        return _play(match[0], after) if is_own(before) and not is_negated(before) else None
    if action is Action.STOP and _IS_NOT.match(match[0]):
        # 不要播放两只老虎: whatever it names is not wanted; but 不要听下一首 says nothing about this one.
        return None if _NOT_THIS.match(after) or not is_own(before) else Intent(action)
    if is_order(before, after):
        return _command(action, match)
    # 继续讲三只小猪 names what is to be heard.
    verb = _PLAY_BEHIND.match(after)
    return _play(verb[0], after[verb.end() :]) if verb and is_order(before, "") else None


def _command(action: Action, match: re.Match[str]) -> Intent | None:
    if action is Action.VOLUME_SET:
        return _volume_set(match)
    if action in (Action.VOLUME_UP, Action.VOLUME_DOWN):
        amount = parse_numeral(match["amount"] or "")
        return Intent(action, amount=VOLUME_STEP if amount is None else amount)
    return Intent(action)


def _first(text: str) -> tuple[Action, re.Match[str]] | None:
    """Return the command that begins earliest, and the longest of several that begin there."""
    found = [(action, match) for action, rule in _RULES if (match := rule.search(text))]
    return min(found, key=lambda pair: (pair[1].start(), -pair[1].end()), default=None)


def _play(verb: str, rest: str) -> Intent | None:
    """Interpret what follows 播放: another command (播放下一首), a title, or nothing (resume)."""
    bare = _AFTER_TITLE.sub("", rest).strip()
    for action, rule in _RULES:
        if action is not Action.PLAY and bare and rule.fullmatch(bare):
            return _read(bare) or Intent(action)
    title = _clean(rest)
    anything = _ANY.fullmatch(_AFTER_TITLE.sub("", rest.strip())) or _ANY.fullmatch(title)
    if title and anything:
        return Intent(Action.PLAY_ANY, anything["kind"] or "")
    if title:
        return Intent(Action.PLAY, title)
    return Intent(Action.RESUME) if verb in {"播放", "play"} else None


def _clean(rest: str) -> str:
    """Strip polite words and words such as 这首歌 from a title, unless nothing would be left."""
    text = rest.strip()
    for pattern in (_AFTER_TITLE, _BEFORE_TITLE):
        text = pattern.sub("", text).strip() or text
    return text


def _volume_set(match: re.Match[str]) -> Intent | None:
    parts = match.groupdict()
    if "mute" in parts:
        return Intent(Action.VOLUME_SET, amount=0, percent=True)
    if parts["word"]:
        return Intent(Action.VOLUME_SET, amount=_WORDS[parts["word"][-1]], percent=True)
    percent = bool(parts["share"] or parts["sign"])
    amount = parse_numeral(parts["share"] or parts["level"])
    if amount is None or (percent and amount > PERCENT_MAX):
        return None
    return Intent(Action.VOLUME_SET, amount=amount, percent=percent)


def _as_heard(text: str) -> str:
    """Return the text with each part that sounds like a command replaced by that command."""
    for phrase in _SAID:
        text = "".join(_replaced(text, phrase))
    return text


def _replaced(text: str, phrase: str) -> Iterator[str]:
    wanted, heard = phonetics.sounds(phrase), phonetics.sounds(text)
    width, place = len(wanted), 0
    while place < len(text):
        window = heard[place : place + width]
        near = len(window) == width and _sounds_like(window, wanted)
        yield phrase if near else text[place]
        place += width if near else 1


def _sounds_like(window: tuple[phonetics.Sound, ...], wanted: tuple[phonetics.Sound, ...]) -> bool:
    pairs = zip(window, wanted, strict=True)
    return sum(phonetics.difference(ours, theirs) for ours, theirs in pairs) <= HEARD_AS_LIMIT
