"""What SIGHUP (``systemctl reload story-agent``) does: the settings are read again, and what can be changed is.

Settings that are read each time they are used take effect at once, in the objects that the parts hold. All others
are named: they take effect at the next start, which ``story-agent restart`` brings once no story plays.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import fields

from agent.settings import TABLES, Settings, SettingsError, doubts_of
from base import zone

# Read at each use: an utterance, a connection, a health check. tests/agent/test_reload.py proves each.
AT_ONCE = frozenset(
    {
        "voice.style", "voice.quality", "voice.band", "voice.max_seconds",
        "link.keepalive_seconds", "link.refused_retry_seconds",
        "health.chime_volume", "health.checks_folder", "health.check_timeout_seconds",
        "clock.zone",
    }
)  # fmt: skip

_log = logging.getLogger(__name__)


def differences(before: Settings, after: Settings) -> list[str]:
    """Return the members that differ, as ``table.member``."""
    return [
        f"{table}.{member.name}"
        for table, kind in TABLES.items()
        for member in fields(kind)
        if getattr(getattr(before, table), member.name)
        != getattr(getattr(after, table), member.name)
    ]


def take(before: Settings, after: Settings) -> tuple[list[str], list[str]]:
    """Change in ``before`` what can be changed; return what was, and what differs still."""
    changed = differences(before, after)
    now = [name for name in changed if name in AT_ONCE]
    for name in now:
        table, _, member = name.partition(".")
        # The parts hold these objects, frozen for everybody but this reload.
        object.__setattr__(getattr(before, table), member, getattr(getattr(after, table), member))
    return now, [name for name in changed if name not in AT_ONCE]


async def reload(settings: Settings, read: Callable[[], Settings]) -> str:
    """Read the settings by ``read`` and take them; return one line about it, which is logged too.

    Settings that cannot be read change nothing.
    """
    try:
        found = await asyncio.to_thread(read)
    except SettingsError as error:
        text = f"settings not reloaded: {error}"
        _log.error("%s; story-agent config check tells all faults", text)
        return text
    now, later = take(settings, found)
    zone.use(settings.clock.zone)
    for doubt in doubts_of(found):
        _log.warning("settings: %s", doubt)
    parts = []
    if now:
        parts.append(f"in force now: {', '.join(now)}")
    if later:
        parts.append(f"after story-agent restart: {', '.join(later)}")
    text = f"settings reloaded: {'; '.join(parts) or 'nothing has changed'}"
    _log.info("%s", text, extra={"event": "reloaded"})
    return text
