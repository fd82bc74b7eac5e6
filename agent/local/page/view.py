"""What the device page shows, decided from the agent's status and the data points' answers; no I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import NamedTuple

from agent.local.page import texts
from agent.status_text import is_online, link_words
from agent.vitals import member
from agent.words import Words
from agent.words.causes import explain
from wire.errors import WireError
from wire.sleep import TimerKind, parse_timer

# The data points that are read for it; those that it sets are `SETTABLE`.
READ = (
    "volume", "volume_limits", "sleep_timer", "power", "charging", "microphone", "rules", "child_lock",
)  # fmt: skip
SETTABLE = frozenset({
    "play", "player", "volume", "sleep_timer", "microphone", "rules", "child_lock",
})  # fmt: skip
MAX_LEVEL = 16
NO_BATTERY = "no battery found"

# A family reads no list of file endings.
_NO_TITLE = re.compile(r"play: got (.+), expected one of (\d+) titles, .+", re.DOTALL)


class Read(NamedTuple):
    """A data point's answer: its value, or why there is none."""

    ok: bool
    text: str


Points = Mapping[str, Read]


def build(status: Mapping[str, object], points: Points, language: str) -> dict[str, object]:
    """Return the page's content; texts are in ``language``, ``zh`` or ``en``."""
    return {
        "language": language,
        "uuid": status.get("uuid"),
        "version": status.get("version"),
        "play": _play(status, language),
        "volume": _volume(points, language),
        "timer": _timer(points, language),
        "battery": _battery(status, points, language),
        "link": _link(status, language),
        "away": _away(status, language),
        "update": _update(status, language),
        "microphone": _microphone(status, points, language),
        "rules": {
            name: points[name].text for name in ("rules", "child_lock") if _has(points, name)
        },
        "trouble": explain(str(status.get("trouble") or "")).of(language),
    }


def explain_answer(text: str, language: str) -> str:
    """Return a data point's reason for a refusal in ``language``, as far as it is known there."""
    if found := _NO_TITLE.fullmatch(text):
        return _fill(texts.NO_TITLE, language, name=found[1], count=found[2])
    return explain(text).of(language)


def _has(points: Points, name: str) -> bool:
    return name in points and points[name].ok


def _value(points: Points, name: str) -> str:
    return points[name].text if _has(points, name) else ""


def _fill(words: Words, language: str, **values: object) -> str:
    return words.of(language).format(**values)


def _play(status: Mapping[str, object], language: str) -> dict[str, object]:
    play = status.get("play")
    told = play if isinstance(play, Mapping) else {}
    state = str(told.get("state") or "idle")
    words = texts.PLAY.get(state, Words(state, state))
    names = ("title", "position", "length", "index", "count", "queue")
    return {"state": state, "text": words.of(language), **{each: told.get(each) for each in names}}


def _volume(points: Points, language: str) -> dict[str, object]:
    value = _value(points, "volume")
    least, most = _limits(_value(points, "volume_limits"))
    return {
        "value": int(value) if value.isdecimal() else None,
        "min": least,
        "max": most,
        "text": "" if value else _why_not(points, "volume", language),
    }


def _limits(value: str) -> tuple[int, int]:
    """Return the least and the most of ``max=12 min=0 start=6``."""
    told = dict(part.partition("=")[::2] for part in value.split())
    least, most = told.get("min", ""), told.get("max", "")
    return (
        int(least) if least.isdecimal() else 0,
        int(most) if most.isdecimal() else MAX_LEVEL,
    )


def _why_not(points: Points, name: str, language: str) -> str:
    text = points[name].text if name in points else ""
    return explain_answer(text, language) or texts.UNKNOWN.of(language)


def _timer(points: Points, language: str) -> dict[str, object]:
    value = _value(points, "sleep_timer")
    if not value:
        return {"value": None, "text": _why_not(points, "sleep_timer", language)}
    return {"value": value, "text": timer_text(value, language)}


def timer_text(value: str, language: str) -> str:
    """Say a value of ``sleep_timer`` as a person would."""
    try:
        timer = parse_timer(value)
    except WireError:
        return value
    words = {
        TimerKind.OFF: texts.TIMER_OFF,
        TimerKind.MINUTES: texts.TIMER_MINUTES,
        TimerKind.END: texts.TIMER_END,
        TimerKind.AFTER: texts.TIMER_STORIES,
    }.get(timer.kind, texts.TIMER_AT)
    times = value.removeprefix("at ").replace(" or ", " / ")
    return _fill(words, language, amount=timer.amount, value=times)


def _battery(status: Mapping[str, object], points: Points, language: str) -> dict[str, object]:
    percent = _value(points, "power")
    if str(member(status, "resources", "power") or "").startswith(NO_BATTERY):
        return {"percent": None, "text": texts.MAINS.of(language)}
    if not percent.isdecimal():
        return {"percent": None, "text": _why_not(points, "power", language)}
    words = texts.CHARGING if _value(points, "charging") == "true" else texts.BATTERY
    return {"percent": int(percent), "text": _fill(words, language, percent=percent)}


def _link(status: Mapping[str, object], language: str) -> dict[str, object]:
    state, cause, remedy = (words.of(language) for words in link_words(status))
    return {
        "online": is_online(status),
        "text": state,
        "cause": cause,
        "remedy": remedy,
        "nextTry": member(status, "link", "next_try_seconds"),
    }


def _away(status: Mapping[str, object], language: str) -> dict[str, object] | None:
    """Return what goes on without the cloud, and what waits for it; None while it is there."""
    if is_online(status):
        return None
    waiting, dropped = (member(status, "outbox", name) for name in ("waiting", "dropped"))
    reports = _fill(texts.REPORTS, language, waiting=waiting) if waiting else ""
    if reports and dropped:
        reports += _fill(texts.DROPPED, language, dropped=dropped)
    return {
        "title": texts.AWAY.of(language),
        "goesOn": [words.of(language) for words in texts.GOES_ON],
        "waits": [*(words.of(language) for words in texts.WAITS), *([reports] if reports else [])],
    }


def _update(status: Mapping[str, object], language: str) -> dict[str, object]:
    told = status.get("update")
    update = told if isinstance(told, Mapping) else {}
    state = str(update.get("state") or "none")
    key = "trial" if update.get("onTrial") else state
    failure = explain(str(update.get("failure") or "?")).of(language)
    words = texts.UPDATE.get(key, Words(state, state))
    values = {name: update.get(name) or "?" for name in ("version", "running")}
    percent = update.get("percent")
    return {
        "running": update.get("running"),
        "text": _fill(words, language, failure=failure, **values),
        "percent": round(percent * 100) if isinstance(percent, int | float) else None,
    }


def _microphone(status: Mapping[str, object], points: Points, language: str) -> dict[str, object]:
    value = _value(points, "microphone")
    state = str(member(status, "listening", "state") or "")
    key = "muted" if value == "false" else "idle" if state in {"", "idle", "muted"} else "other"
    text = texts.LISTENING[key].of(language) if value else _why_not(points, "microphone", language)
    return {"on": json.loads(value) if value in {"true", "false"} else None, "text": text}
