"""Who may use which topic of the simulated broker: mosquitto's access list, as the staging cloud writes it. Pure."""

from __future__ import annotations

import functools
from dataclasses import dataclass

SHARE = "$share/"


@functools.lru_cache(2000)
def matches(pattern: str, topic: str) -> bool:
    """Return whether a filter matches a topic (MQTT 5 section 4.7)."""
    wanted, parts = pattern.split("/"), topic.split("/")
    for at, part in enumerate(wanted):
        if part == "#":
            return not topic.startswith("$")
        if at >= len(parts) or part not in {"+", parts[at]}:
            return False
    return len(wanted) == len(parts)


@functools.lru_cache(2000)
def group_of(name: str) -> tuple[str, str]:
    """Return the group of a shared subscription, "" for one of a single client, and its filter (4.8.2)."""
    if not name.startswith(SHARE):
        return "", name
    group, _, rest = name.removeprefix(SHARE).partition("/")
    return group, rest


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the list: of whom, "" for everybody, and what it lets him do with which topics."""

    user: str
    may: frozenset[str]
    pattern: str


class Access:
    """The list."""

    def __init__(self, text: str) -> None:
        """Read it, in mosquitto's words; raises ValueError for a line that is not known here."""
        self._rules: list[Rule] = []
        self._known: dict[tuple[str, str, str], bool] = {}
        user = ""
        for line in filter(None, map(str.strip, text.splitlines())):
            match line.split(" "):
                case ["user", name]:
                    user = name
                case ["topic" | "pattern" as kind, "read" | "write" | "readwrite" as may, pattern]:
                    both = {"read", "write"} if may == "readwrite" else {may}
                    owner = user if kind == "topic" else ""
                    self._rules.append(Rule(owner, frozenset(both), pattern))
                case _:
                    raise ValueError(f"access list: got {line!r}, expected user, topic or pattern")

    def allows(self, user: str, may: str, topic: str) -> bool:
        """Return whether ``user`` may "read" or "write" a topic: each message asks, and a world has few topics."""
        asked = (user, may, topic)
        if (known := self._known.get(asked)) is None:
            known = self._known[asked] = self._finds(*asked)
        return known

    def _finds(self, user: str, may: str, topic: str) -> bool:
        return any(
            may in rule.may
            and rule.user in {"", user}
            and matches(rule.pattern.replace("%u", user), topic)
            for rule in self._rules
        )
