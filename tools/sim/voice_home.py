"""What a family does with the child's voice in a simulated world, by name (`tools.sim.scenario`): it speaks, is heard again by the parents, and erased.

Who asks is the app, by the real open API; what the machine has said is noted as it sends it.
"""

from __future__ import annotations

import contextlib
import functools
import json
import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from agent.voice.stream import LiveUtterance
from staging.errors import StagingError
from staging.recognition.outcomes import OutcomeLog
from staging.times import now_ms
from tools.sim.ears import speak
from tools.sim.people import begin
from tools.sim.voice_days import Order, Row
from wire.errors import WireError
from wire.voice import HeaderStyle, parse_history_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from tools.sim.open_api import OpenApi
    from tools.sim.voice_days import VoiceWatch
    from tools.sim.world import World

HISTORY, LEDGER = "/v1/device/query/data/history", "/v1/device/data/voice"
PAGE = 100
# Seconds for which somebody has spoken when that is erased.
MEANWHILE_SECONDS = 2.0
# A child has said what it says, and the cloud has understood it.
UNDERSTOOD_SECONDS = 9.0


def say_something(world: World, chance: float) -> None:
    """Let a child say something, and the cloud understand it."""
    speak(world, chance)
    world.later(UNDERSTOOD_SECONDS, functools.partial(_understand, world))


def _understand(world: World) -> None:
    """Let the cloud note what it has understood of the last utterance."""
    watch, heard = world.cloud.voice, world.observer.heard

    async def work(watch: VoiceWatch) -> None:
        with contextlib.suppress(StagingError):  # its disk is full
            watch.understand(heard, OutcomeLog(world.cloud.folder))

    if watch is not None and heard:
        begin(world, work(watch))


def listen_again(world: World, chance: float) -> None:
    """Let the parents look what was said, and hear it."""
    del chance
    watch, api = world.cloud.voice, world.cloud.some_api()
    if watch is not None and api is not None:
        begin(world, _listen(world, watch, api), api)


async def _listen(world: World, watch: VoiceWatch, api: OpenApi) -> None:
    sent, before = now_ms(), watch.see(world.cloud.database)
    for key in (style.report_key for style in HeaderStyle):
        asked = {"propertyKey": key, "propertyType": "REPORT", "limit": str(PAGE)}
        told = await _ask(world, api, "GET", HISTORY, **asked)
        if told is not None and before is not None:
            watch.shown([row for each in told["data"] if (row := _row(each))], before, sent)


def _row(entry: Mapping[str, Any]) -> Row | None:
    try:
        segment = parse_history_text(str(entry["value"]))
    except WireError:
        return None
    sound = str(segment.to_json().get("voice_data", ""))
    return Row(segment.id, segment.segment, sound)


def erase(world: World, chance: float) -> None:
    """Let the parents erase all voice, or some utterances of the ledger; every second time while a child speaks."""
    if chance * 7 % 1 < 0.5:
        speak(world, chance)
        meanwhile = functools.partial(_erase, world, chance, with_newest=True)
        world.later(MEANWHILE_SECONDS, meanwhile)
    else:
        _erase(world, chance, with_newest=False)


def _erase(world: World, chance: float, *, with_newest: bool) -> None:
    watch, api = world.cloud.voice, world.cloud.some_api()
    if watch is None or api is None:
        return
    if chance < 0.4:
        work = _erase_all(world, watch, api)
    else:
        work = _erase_some(world, watch, api, chance, with_newest=with_newest)
    begin(world, work, api)


async def _erase_all(world: World, watch: VoiceWatch, api: OpenApi) -> None:
    before = watch.see(world.cloud.database) or {}
    begun = {(row.utterance, ts) for ts, row in before.items()}
    order = watch.ordered(Order(now_ms(), sorted(begun), is_all=True))
    if await _ask(world, api, "DELETE", LEDGER) is not None:
        order.answered = now_ms()
        world.observer.count("times that all voice was erased")


async def _erase_some(
    world: World, watch: VoiceWatch, api: OpenApi, chance: float, *, with_newest: bool
) -> None:
    """Erase one to three of the ledger, the newest first where that is still being said."""
    told = await _ask(world, api, "GET", LEDGER, limit=str(PAGE))
    there = [each for each in (told or {"data": []})["data"] if each["eraseTime"] is None]
    rng = random.Random(chance)  # noqa: S311  # a simulation
    chosen = rng.sample(there, min(len(there), rng.randint(1, 3)))
    if with_newest and there and there[0] not in chosen:
        chosen = [there[0], *chosen[1:]]
    if not chosen:
        return
    order = watch.ordered(Order(now_ms(), _spans(chosen)))
    ids = ",".join(str(each["id"]) for each in chosen)
    if await _ask(world, api, "DELETE", LEDGER, id=ids) is not None:
        order.answered = now_ms()
        world.observer.count("utterances erased")


def _spans(entries: Sequence[Mapping[str, Any]]) -> list[tuple[int, int]]:
    starts = [datetime.fromisoformat(each["time"]).timestamp() for each in entries]
    return [
        (int(each["utterance"]), int(start * 1000))
        for each, start in zip(entries, starts, strict=True)
    ]


async def _ask(world: World, api: OpenApi, method: str, path: str, **words: str) -> Any:
    """Ask as the family's app; return what is answered, None if it is refused."""
    apps, began = world.observer.apps, world.loop.time()
    query, key = urlencode({"deviceUuid": world.machine.name, **words}), apps.tokens.key
    sent = await api.call(method, path, key.headers(), query=query)
    status = int(sent[0]["status"])
    apps.tokens.judge(key.token, began, status)
    if status == 500:
        apps.broken.append(f"an app was answered 500: {method} {path}")
    if status != 200:
        return None
    return json.loads(b"".join(message.get("body", b"") for message in sent))


def watch_voice(watched: Callable[[], VoiceWatch | None]) -> None:
    """Tell the watch of what machines say, for the rest of the process."""
    put, make = LiveUtterance._put, LiveUtterance.__init__  # noqa: SLF001

    def noted_make(self: LiveUtterance, *words: Any, **named: Any) -> None:
        make(self, *words, **named)
        if (watch := watched()) is not None:
            watch.begin(self)

    def noted_put(self: LiveUtterance, segment: Any) -> None:
        if (watch := watched()) is not None:
            watch.say(self, segment)
        put(self, segment)

    LiveUtterance.__init__ = noted_make  # type: ignore[method-assign]
    LiveUtterance._put = noted_put  # type: ignore[method-assign]  # noqa: SLF001


HAPPENINGS = {"voice": say_something, "voice is heard": listen_again, "voice is erased": erase}
