"""A scripted story speaker on a real cloud: it has the family's data points and plays nothing.

It runs in a thread of its own, because the tests of the console wait for a browser.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import ssl
import threading
from collections.abc import Awaitable
from typing import Any, TypeVar

from staging.store.models import Device
from tests.staging.conftest import ScriptedDevice
from tests.staging.console.page import Page
from wire.codes import Code
from wire.datapoints import DataPointDescription, DataType, Method, self_description
from wire.exchange import Answer, Request
from wire.fields import dump_object
from wire.story_points import STORY_POINTS

DEADLINE = 30.0
STORIES = ("小兔子乖乖", "三只小猪", "Der Froschkönig", "<i>春天在哪里</i>", "数鸭子")
T = TypeVar("T")


def described(name: str, kind: DataType = DataType.STRING) -> DataPointDescription:
    return DataPointDescription(name, kind, f"标签 {name}", f"说明 {name}", tuple(Method))


FAMILY = (
    described("player"),
    described("play_mode"),
    described("sleep_timer"),
    described("volume_limits"),
    described("night"),
    described("child_lock", DataType.BOOL),
    described("listening", DataType.STRING),
    described("rules"),
)
VALUES = {
    "play": STORIES[1],
    "volume": "6",
    "power": "80",
    "switch": "false",
    "play_mode": "order",
    "sleep_timer": "off",
    "volume_limits": "max=12 min=0 start=6",
    "night": "21:00-06:30 max=5",
    "child_lock": "false",
    "listening": "daily 20",
    "rules": "quiet 20:30-06:30; daily 60",
}


def playing(state: str = "playing", index: int = 1, **other: Any) -> str:
    """Return a value of ``player``."""
    told = {
        "state": state,
        "title": STORIES[index],
        "position": 61.5,
        "length": 300.0,
        "queue": list(enumerate(STORIES, 1)),
        "index": index + 1,
        "count": len(STORIES),
        "source": f"/media/{STORIES[index]}.mp3",
    }
    return json.dumps(told | other, ensure_ascii=False)


class Speaker(ScriptedDevice):
    """Keeps a value for each data point; what is in ``refused`` is answered with that text."""

    def __init__(self, device: Device, context: ssl.SSLContext) -> None:
        points = self_description((*STORY_POINTS, *FAMILY))
        answers = {("GET", "resource"): Answer(Code.CONTENT, dump_object(points))}
        super().__init__(device, None, answers=answers, context=context)  # type: ignore[arg-type]
        self.values = {**VALUES, "player": playing()}
        self.refused: dict[str, str] = {}
        self.orders: list[tuple[str, str]] = []

    async def _answer(self, request: Request) -> Answer:
        name = "/".join(request.path)
        if name not in self.values:
            return await super()._answer(request)
        if request.method == "GET":
            return Answer(Code.CONTENT, self.values[name].encode())
        text = request.payload.decode()
        self.orders.append((name, text))
        if name in self.refused:
            return Answer(Code.BAD_REQUEST, self.refused[name].encode())
        if name not in {"play", "player"}:
            self.values[name] = text
        return Answer(Code.CHANGED)


class SpeakerThread:
    """Runs a speaker until `stop`; its methods may be called from the test's thread."""

    def __init__(self, device: dict[str, Any], profile: dict[str, Any], port: int) -> None:
        """Connect ``device`` of a cloud, with its profile, to the cloud's port on loopback."""
        self.device = device
        context = ssl.create_default_context(cadata=profile["rsaCaCrt"])
        row = Device(uuid=device["uuid"], token=profile["token"])
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.speaker = self.run(self._make(row, context))
        self.run(self.speaker.connect(port))
        assert self.run(self.speaker.register()).code == Code.CONTENT

    @staticmethod
    async def _make(row: Device, context: ssl.SSLContext) -> Speaker:
        return Speaker(row, context)

    @property
    def uuid(self) -> str:
        """The device's uuid."""
        return str(self.device["uuid"])

    @property
    def orders(self) -> list[tuple[str, str]]:
        """What was set so far: names and values."""
        return list(self.speaker.orders)

    def run(self, work: Awaitable[T]) -> T:
        """Run ``work`` in the speaker's loop."""

        async def bounded() -> T:
            async with asyncio.timeout(DEADLINE):
                return await work

        future: concurrent.futures.Future[T] = asyncio.run_coroutine_threadsafe(
            bounded(), self.loop
        )
        return future.result()

    def ordered(self, page: Page, name: str, value: str) -> None:
        """Wait until ``value`` was ordered on ``page``."""
        page.wait(lambda: (name, value) in self.orders, f"{name} {value}: {self.orders}")

    def change(self, name: str, value: str) -> None:
        """Change a value on the machine, and report it."""
        self.speaker.values[name] = value
        self.run(self.speaker.report({name: value}))

    def reset(self) -> None:
        """Become as at first, without orders."""
        self.speaker.values = {**VALUES, "player": playing()}
        self.speaker.refused.clear()
        self.speaker.orders.clear()

    def stop(self) -> None:
        """Disconnect, and end the thread."""
        self.run(self.speaker.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(DEADLINE)
        self.loop.close()
