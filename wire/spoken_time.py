"""A time of day as families say it, in Chinese and English: 晚上八点半, 9点, 20:30; half past eight, 8 pm.

Of a time without morning or evening both are meant, and the one that comes first counts. Pure; the sentence around
it is `wire.spoken`'s.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

# In place of the colon of 20:30, which is a mark like any other to `wire.sentence`.
COLON = "c"
_CLOCK = re.compile(r"(?<!\d)(\d{1,2}):(\d\d)(?!\d)")
HALF_DAY, DAY = 12, 24

_MORNING, _NOON, _EVENING, _NIGHT = (
    "早上|早晨|上午|清晨|凌晨",
    "中午",
    "今天?晚上?|晚上?|傍晚|下午",
    "夜里|半夜|深夜",
)
_N = "(?:[0-9]{1,2}|[零〇一二两三四五六七八九十]{1,3})"
CHINESE_TIME = (
    f"(?:今天|今日|明天)?(?:(?P<morning>{_MORNING})|(?P<noon>{_NOON})|(?P<evening>{_EVENING})|(?P<night>{_NIGHT}))?的?"
    f"(?:(?P<clock>[0-9]{{1,2}}{COLON}[0-9]{{2}})"
    f"|(?P<hour>{_N})(?:点|时)(?:钟|整|(?P<half>半)|(?P<quarters>[一三1 3])刻钟?|过?(?P<minute>{_N})分?)?)"
)
_WORD = "(?:[0-9]{1,2}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
ENGLISH_TIME = (
    f"(?:(?P<clock>[0-9]{{1,2}}{COLON}[0-9]{{2}})"
    f"|(?P<past>half|(?:a )?quarter|{_WORD}(?: minutes?)?) past (?P<past_hour>{_WORD})"
    f"|(?P<to>(?:a )?quarter|{_WORD}(?: minutes?)?) to (?P<to_hour>{_WORD})"
    f"|(?P<hour>{_WORD})(?: (?P<minute>[0-9]{{2}}|fifteen|thirty|forty five))?)"
    "(?: ?o ?clock)?(?: ?(?P<morning>a ?m|in the morning)| ?(?P<evening>p ?m|in the evening|tonight|at night))?"
)


def mark_colons(text: str) -> str:
    """Return ``text`` with the colons of times kept through `wire.sentence.normalise`."""
    return _CLOCK.sub(rf"\1{COLON}\2", text)


def read_time(match: re.Match[str], number: Callable[[str], object]) -> tuple[int, ...] | None:
    """Return the minutes of the day that a match of one of the forms means; None if there is no such time.

    Args:
        match: of CHINESE_TIME or ENGLISH_TIME.
        number: reads a number as it is said.
    """
    parts = {name: said for name, said in match.groupdict().items() if said is not None}
    hour, minute, exact = _hour_and_minute(parts, lambda said: int(str(number(said))))
    if minute > 59 or hour > DAY or (hour == DAY and minute):
        return None
    hours = _hours(hour, parts, exact=exact)
    return None if hours is None else tuple(sorted(each % DAY * 60 + minute for each in hours))


def _hour_and_minute(
    parts: Mapping[str, str], number: Callable[[str], int]
) -> tuple[int, int, bool]:
    """Return hour, minute, and whether it can only be meant by the clock of 24 hours."""
    if "clock" in parts:
        said, _, minutes = parts["clock"].partition(COLON)
        return int(said), int(minutes), said.startswith("0")
    if "past" in parts:
        return number(parts["past_hour"]), _minutes(parts["past"], number), False
    if "to" in parts:
        before = number(parts["to_hour"]) * 60 - _minutes(parts["to"], number)
        return before // 60 or HALF_DAY, before % 60, False
    minute = 30 if "half" in parts else 15 * number(parts.get("quarters", "0"))
    return number(parts["hour"]), number(parts.get("minute", "0")) or minute, False


def _minutes(said: str, number: Callable[[str], int]) -> int:
    if said == "half":
        return 30
    return 15 if "quarter" in said else number(said.removesuffix("s").removesuffix(" minute"))


def _hours(hour: int, parts: Mapping[str, str], *, exact: bool) -> tuple[int, ...] | None:
    """Return the hours of the day that are meant, None if none can be."""
    if hour > HALF_DAY or hour == 0 or exact:
        return None if "morning" in parts and hour > HALF_DAY else (hour,)
    early, late = hour % HALF_DAY, hour % HALF_DAY + HALF_DAY
    if "morning" in parts:
        return (early,)
    if "noon" in parts:
        return (late,) if hour < 4 or hour == HALF_DAY else (hour,)
    if "night" in parts:
        return (early,) if hour < 6 or hour == HALF_DAY else (late,)
    if "evening" in parts:  # 晚上十二点 is midnight
        return (early,) if hour == HALF_DAY and "下午" not in parts["evening"] else (late,)
    return early, late
