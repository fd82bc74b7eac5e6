"""The orders that the data point ``play`` takes, as text: a command, what to play, or JSON. Pure.

The words are the open API document's, those that people say, and English. What is none of them is the
name of something to play. A title that is such a word, or begins like one, can be ordered in a JSON
list: ``["随机播放"]``. docs/data-points.md has the table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from enum import Enum

from resources.playing.queue import PlayMode
from resources.playing.resume import Policy
from wire.errors import FieldError, WireError
from wire.fields import is_object, parse_object
from wire.numerals import numeral
from wire.records import dataclass
from wire.text import fold, is_printable

# Names in one order. Each is looked for, and a look-up takes milliseconds.
NAMES_LIMIT = 200
# The highest number of a title, and the latest second of one, that an order may name.
NUMBER_LIMIT = 1_000_000


class Command(Enum):
    """Commands without a name; the first two words of each are the document's and English."""

    NEXT = ("下一首", "next", "下一个", "下一集", "下一曲", "切歌")
    PREVIOUS = ("上一首", "previous", "上一个", "上一集", "上一曲")
    PAUSE = ("暂停", "pause", "暂停播放")
    RESUME = ("继续", "resume", "继续播放")
    STOP = ("停止", "stop", "停止播放")
    RESTART = (
        "从头",
        "restart",
        "从头播放",
        "从头开始",
        "从头听",
        "重新播放",
        "再听一遍",
        "再放一遍",
        "start over",
    )


@dataclass(frozen=True, slots=True)
class Play:
    """Play these titles, folders or URLs in place of what plays.

    Attributes:
        wanted: a name, after whose title its folder goes on; or a list of names, which is all.
        mode: the mode of playing from now on, None as it is.
        from_start: whether what is remembered of them does not count.
    """

    wanted: str | tuple[str, ...]
    mode: PlayMode | None = None
    from_start: bool = False


@dataclass(frozen=True, slots=True)
class Add:
    """Put these into the queue: behind the title that plays (``next``), or at the end."""

    wanted: tuple[str, ...]
    next: bool


@dataclass(frozen=True, slots=True)
class Jump:
    """Play a title of the queue: its number from 1, or its name."""

    to: int | str


@dataclass(frozen=True, slots=True)
class SetMode:
    """Play in another order from now on."""

    mode: PlayMode


@dataclass(frozen=True, slots=True)
class Seek:
    """Go to a place of the title that plays, in seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Forget:
    """Forget how far a title, or all in a folder, was heard; None: everything."""

    wanted: str | None


@dataclass(frozen=True, slots=True)
class SetPolicy:
    """Go on in a title, or in all of a folder, or always begin at the start; None: as it was."""

    wanted: str
    policy: Policy | None


@dataclass(frozen=True, slots=True)
class Keep:
    """Keep a story of the web on the disk whatever else is heard, or treat it as any other again."""

    url: str
    pinned: bool


Order = Command | Play | Add | Jump | SetMode | Seek | Forget | SetPolicy | Keep

_MODES: Mapping[PlayMode, tuple[str, ...]] = {
    PlayMode.SHUFFLE: ("随机播放", "随机", "打乱顺序", "shuffle"),
    PlayMode.REPEAT_ONE: ("单曲循环", "单集循环", "重复这首", "repeat one", "repeat-one"),
    PlayMode.REPEAT_ALL: ("循环播放", "列表循环", "全部循环", "repeat all", "repeat-all"),
    PlayMode.ORDER: (
        "顺序播放",
        "按顺序播放",
        "取消循环",
        "不循环",
        "取消随机",
        "不随机",
        "play in order",
    ),
}
_MODE_OF = {word: mode for mode, words in _MODES.items() for word in words}
_COMMAND_OF = {word: command for command in Command for word in command.value}
# Before a name. The longer word first where one begins with the other.
_BEFORE: Mapping[str, Callable[[str], Order]] = {
    "下一首播放": lambda name: Add((name,), next=True),
    "接下来播放": lambda name: Add((name,), next=True),
    "随机播放": lambda name: Play(name, PlayMode.SHUFFLE),
    "单曲循环": lambda name: Play(name, PlayMode.REPEAT_ONE),
    "循环播放": lambda name: Play(name, PlayMode.REPEAT_ALL),
    "顺序播放": lambda name: Play(name, PlayMode.ORDER),
    "从头播放": lambda name: Play(name, from_start=True),
    "重新播放": lambda name: Play(name, from_start=True),
}
_STOPS = "。.!"
_NUMBERED = re.compile(r"第([0-9]{1,6}|[零〇一二两三四五六七八九十百千万]{1,9})[首个]")


def parse_order(text: str) -> Order:
    """Return the order that ``text`` is; any other text is the name of something to play.

    Raises:
        FieldError: it is JSON, but no such order; the message names the member.
    """
    wanted = text.strip()
    if wanted[:1] in {"[", "{"} and (order := _parse_json(wanted)) is not None:
        return order
    folded = fold(wanted).rstrip(_STOPS)  # as a recogniser of speech ends a sentence
    if folded in _COMMAND_OF:
        return _COMMAND_OF[folded]
    if folded in _MODE_OF:
        return SetMode(_MODE_OF[folded])
    if (number := _number(folded)) is not None:
        return Jump(number)
    for word, order_for in _BEFORE.items():
        if wanted.startswith(word) and (name := wanted.removeprefix(word).strip()):
            return order_for(name)
    return Play(wanted.removeprefix("播放").strip() or wanted)


def parse_position(text: str) -> Seek:
    """Return the order ``{"position": seconds}``; raises FieldError for anything else."""
    expected = 'an object like {"position": 90}'
    try:
        source = parse_object(text, "player")
    except WireError as error:
        raise FieldError("player", text, expected) from error
    if set(source) != {"position"}:
        raise FieldError("player", source, expected)
    return Seek(_amount("player.position", source["position"], 0))


def starts_sound(order: Order) -> bool:
    """Return whether an order may make something sound that did not: gates are asked about those."""
    if isinstance(order, Command):
        return order not in {Command.PAUSE, Command.STOP}
    return isinstance(order, Play | Add | Jump)


def _number(folded: str) -> int | None:
    """Return the number of 第三首, None if it is no such word."""
    found = _NUMBERED.fullmatch(folded)
    if found is None:
        return None
    return int(found[1]) if found[1].isdecimal() else numeral(found[1])


def _parse_json(text: str) -> Order | None:
    """Return the order in JSON; None if the text is none, as the title ``[1] The fox`` is."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, list):
        return Play(_names("play", value))
    return _from_object(parse_object(text, "play"))


def _from_object(source: Mapping[str, object]) -> Order:
    what = [name for name in _ACTIONS if name in source]
    if len(what) != 1 and not ("play" in source and set(source) <= {"play", "mode", "from"}):
        raise FieldError("play", source, "an object with one of " + ", ".join(_ACTIONS))
    name = "play" if "play" in source else what[0]
    extra = [key for key in source if key != name and not (name == "play" and key in _BESIDE_PLAY)]
    if extra:
        raise FieldError(f"play.{extra[0]}", source[extra[0]], f"nothing beside {name}")
    return _ACTIONS[name](source)


def _play(source: Mapping[str, object]) -> Order:
    mode = _mode(source) if "mode" in source else None
    if source.get("from", "start") != "start":
        raise FieldError("play.from", source["from"], 'the word "start"')
    wanted = source["play"]
    names = _name("play.play", wanted) if isinstance(wanted, str) else _names("play.play", wanted)
    return Play(names, mode, from_start="from" in source)


def _jump(source: Mapping[str, object]) -> Order:
    to = source["jump"]
    if isinstance(to, str):
        return Jump(_name("play.jump", to))
    return Jump(int(_amount("play.jump", to, 1, whole=True)))


def _mode(source: Mapping[str, object]) -> PlayMode:
    value = source["mode"]
    if not isinstance(value, str) or value not in set(PlayMode):
        raise FieldError("play.mode", value, "one of " + ", ".join(PlayMode))
    return PlayMode(value)


def _forget(source: Mapping[str, object]) -> Order:
    value = source["forget"]
    return Forget(None if value is True else _name("play.forget", value))


def _policy(source: Mapping[str, object]) -> Order:
    inner = source["resume"]
    if not is_object(inner) or set(inner) != {"title", "policy"}:
        raise FieldError("play.resume", inner, "an object with title and policy")
    policy = inner["policy"]
    title = _name("play.resume.title", inner["title"])
    if policy is None:
        return SetPolicy(title, None)
    if not isinstance(policy, str) or policy not in set(Policy):
        expected = ", ".join(Policy)
        raise FieldError("play.resume.policy", policy, f"one of {expected}, or null")
    return SetPolicy(title, Policy(policy))


_ACTIONS: Mapping[str, Callable[[Mapping[str, object]], Order]] = {
    "play": _play,
    "next": lambda source: Add(_names("play.next", source["next"]), next=True),
    "add": lambda source: Add(_names("play.add", source["add"]), next=False),
    "jump": _jump,
    "mode": lambda source: SetMode(_mode(source)),
    "position": lambda source: Seek(_amount("play.position", source["position"], 0)),
    "forget": _forget,
    "resume": _policy,
    "pin": lambda source: Keep(_name("play.pin", source["pin"]), pinned=True),
    "unpin": lambda source: Keep(_name("play.unpin", source["unpin"]), pinned=False),
}
_BESIDE_PLAY = frozenset({"mode", "from"})


def _names(field: str, value: object) -> tuple[str, ...]:
    """Return one name or a list of them; raises FieldError."""
    if isinstance(value, str):
        return (_name(field, value),)
    if not isinstance(value, list) or not 1 <= len(value) <= NAMES_LIMIT:
        raise FieldError(field, value, f"a name, or a list of 1 to {NAMES_LIMIT} names")
    return tuple(_name(f"{field}[{number}]", name) for number, name in enumerate(value))


def _name(field: str, value: object) -> str:
    if not isinstance(value, str) or not fold(value) or not is_printable(value):
        raise FieldError(field, value, "the name of a title or folder, or a URL")
    return value.strip()


def _amount(field: str, value: object, low: int, *, whole: bool = False) -> float:
    kind = int if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= NUMBER_LIMIT:
        word = "an integer" if whole else "a number"
        raise FieldError(field, value, f"{word} from {low} to {NUMBER_LIMIT}")
    return value
