"""A machine's device page behind real TLS in a thread of its own: the tests in a browser wait for the browser."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.family import FamilyRoom
from agent.local.http import build_app
from agent.local.lan import lan_socket, load_identity, load_token
from agent.local.page.routes import DevicePage
from agent.local.server import LocalServer
from agent.settings import VoiceSettings
from agent.voice.sender import VoiceSender
from machine.errors import RefusedError
from resources.datapoint import DataPoint
from resources.dispatch import Dispatch
from tests.agent.local.rig import cancel
from tests.agent.memory_link import MemoryLink
from tests.agent.parts import make_profile
from tests.ports import free_port
from wire.datapoints import DataPointDescription, Value
from wire.story_points import (
    CHARGING,
    CHILD_LOCK,
    MICROPHONE,
    PLAY,
    POWER,
    RULES,
    SLEEP_TIMER,
    VOLUME,
    VOLUME_LIMITS,
)  # fmt: skip

TITLES = ("小兔子乖乖", "两只老虎", "<i>小星星</i>")
VALUES: Mapping[str, Value] = {
    "play": TITLES[0], "volume": 6, "volume_limits": "max=12 min=1 start=6", "sleep_timer": "off", "power": 80,
    "charging": False, "microphone": True, "rules": "quiet 20:30-06:30; daily 60", "child_lock": False,
}  # fmt: skip
POINTS = (
    PLAY, VOLUME, VOLUME_LIMITS, SLEEP_TIMER, POWER, CHARGING, MICROPHONE, RULES, CHILD_LOCK,
)  # fmt: skip
REFUSED = "安静"


class Kept(DataPoint):
    """Keeps what is put; ``REFUSED`` is refused, as in quiet hours."""

    def __init__(self, described: DataPointDescription, value: Value) -> None:
        self._described = described
        self.value = value
        self.orders: list[Value] = []

    @property
    def description(self) -> DataPointDescription:  # type: ignore[override]
        return self._described

    async def get(self) -> Value:
        return self.value

    async def put(self, value: Value) -> None:
        if value == REFUSED:
            raise RefusedError("play: quiet hours until 06:30")
        self.orders.append(value)
        if self._described.name != "play" or str(value) in TITLES:
            self.value = value


def away(**changes: Any) -> dict[str, Any]:
    """Return a status of a machine whose cloud is gone."""
    return {
        "version": "1.2.0", "uuid": "0083000000000a", "trouble": None,
        "link": {"server": "cloud.example:5684", "state": "waiting", "tries": 90_000, "next_try_seconds": 50.0,
                 "last_error": "cannot connect: Connection refused",
                 "remedy": "check the machine's network, a firewall, and that the cloud runs at this address and port"},
        "outbox": {"waiting": 300, "dropped": 12},
        "update": {"running": "1.2.0", "onTrial": False, "state": None, "version": None, "percent": None, "failure": None},
        "play": {"state": "playing", "title": TITLES[0], "position": 61.0, "length": 96.0, "index": 1, "count": 3,
                 "queue": [[n, title] for n, title in enumerate(TITLES, 1)]},
        "listening": {"state": "idle"}, "resources": {"power": "bq27411"},
    } | changes  # fmt: skip


class Machine:
    """The page on a free port of loopback, as HTTPS; `start` again is a restart."""

    def __init__(self, folder: Path) -> None:
        self.state = folder
        self.token = load_token(folder)
        self.port = free_port()
        self.base = f"https://127.0.0.1:{self.port}"
        self.points = {each.name: Kept(each, VALUES[each.name]) for each in POINTS}
        self.status = away()
        self._thread: threading.Thread | None = None

    def reset(self) -> None:
        """Let everything be as at first."""
        for name, value in VALUES.items():
            self.points[name].value = value
            self.points[name].orders.clear()
        self.status = away()

    def start(self) -> None:
        """Serve; returns when the port is open."""
        opened = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(opened)))
        self._thread.start()
        assert opened.wait(20)

    def stop(self) -> None:
        """End, as a machine that is switched off."""
        self._loop.call_soon_threadsafe(
            self._server.stop
        )  # a loop that nothing else wakes would sleep on
        assert self._thread is not None
        self._thread.join(20)
        assert not self._thread.is_alive()

    def page(self, dispatch: Dispatch) -> DevicePage:
        async def status() -> Mapping[str, object]:
            return self.status

        family = FamilyRoom(make_profile(1, ""), self.state, lambda: 1.8e9)
        return DevicePage(dispatch, status, family, self.state, lambda: 1.8e9)

    def dispatch(self) -> Dispatch:
        async def changed(_name: str, _value: Value) -> None:
            return

        return Dispatch(self.points.values(), changed)

    async def _serve(self, opened: threading.Event) -> None:
        dispatch = self.dispatch()
        page = self.page(dispatch)
        voice = VoiceSender(MemoryLink(is_up=False), VoiceSettings())

        async def status() -> Mapping[str, object]:
            return self.status

        app = build_app(dispatch, voice, status, cancel, page.routes(self.token), self.token)
        identity = load_identity(self.state)
        self._server = LocalServer(app, (identity.certificate, identity.key))
        with lan_socket("127.0.0.1", self.port) as bound:
            bound.listen()
            self._loop = asyncio.get_running_loop()
            opened.set()
            await self._server.serve([bound])
