"""A scripted story machine that does as the document says, and, by the name of a check, one thing wrong.

``Twin(bench, "link.jitter")`` has exactly the fault that the check ``link.jitter`` finds.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from staging.advise.bench import Manner, Paper
from tests.staging.advise.twin_points import POINTS, TOKEN, RefusedError
from tests.staging.advise.twin_talk import Session
from tests.staging.advise.twin_update import Update
from tests.staging.advise.twin_voice import Voice
from tests.staging.advise.virtual import VirtualBench, VirtualLine
from wire.exchange import Answer

OLD = "a box of 2017"


class Twin:
    """One machine."""

    def __init__(self, bench: VirtualBench, fault: str = "", seed: int = 7) -> None:
        self.bench, self.fault = bench, fault
        self.random = random.Random(seed)
        self.values: dict[str, Any] = {
            "volume": 8, "tone": 10, "child_lock": False, "play": "小星星", "switch": False, "power": 80,
            "microphone": True,
        }  # fmt: skip
        self.ids: OrderedDict[bytes, Answer] = OrderedDict()
        self.outbox: list[tuple[int, str, object]] = []
        self.numbers = itertools.count(1)
        self.failures = 0
        self.dazed = False
        self.lacks: set[str] = set()
        self.version = "1.0.0"
        self.update = Update(self)
        self.voice = Voice(self)
        bench.speaker = self.voice.speak
        if self.is_old:
            bench.speaker, bench.helped = None, False
        self.session: Session | None = None
        self.tasks: set[asyncio.Task[None]] = set()
        self.awake = asyncio.Event()
        self.awake.set()
        bench.machine = self

    @property
    def is_old(self) -> bool:
        """Whether it is as the boxes of 2017: it describes nothing, reads nothing of ours, numbers no reports, and waits without jitter."""
        return self.fault == OLD

    def bad(self, check: str) -> bool:
        """Whether the twin has this fault."""
        return self.fault == check

    def bad_in(self, case: str, check: str) -> bool:
        """Whether the twin has this fault, in one case alone: elsewhere it would be found by other checks too."""
        return self.fault == check and self.bench.case == case

    async def run(self) -> None:
        """Live until cancelled."""
        try:
            while (lived := await self.live()) is not None:
                await asyncio.sleep(self.wait(lived))
        finally:
            for task in self.tasks:
                task.cancel()

    def say(self, name: str, value: object) -> None:
        """Report something, now or when the link is there again."""
        self.outbox.append((next(self.numbers), name, value))
        if self.session is not None:
            self.session.news.set()

    def tell_live(self, name: str, value: object) -> None:
        """Report something now, or not at all."""
        session = self.session
        if session is not None and session.registered and not session.over:
            task = asyncio.create_task(session.tell({name: value}))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    # What the helper beside it does.

    async def strike(self, fault: str, values: Mapping[str, int | str]) -> None:
        """Be killed, stand still, lose some bits of the card, or have no room, no sound or a wrong clock."""
        if fault == "freeze":
            self.awake.clear()
        if fault not in {"kill", "card"}:
            self.lacks.add(fault)
        if fault in {"freeze", "disk_full", "clock_wrong", "sound_dead"}:
            return
        assert values or fault == "kill"
        self.awake.set()  # its process is another one afterwards, which knows nothing of its waits
        self.failures = 0
        if self.bad_in("killed", "faults.order"):
            self.values["volume"] = 8
        if self.bad_in("killed", "faults.report"):
            self.outbox.clear()
        self.update.killed()
        if self.session is not None:
            if self.bad_in("killed", "faults.back"):
                self.session.sulks = 30.0
            if self.bad_in("worn", "faults.card"):
                self.session.sulks = 100.0
            if self.bad_in("full start", "faults.full-start"):
                self.session.sulks = 100.0
            self.session.end()

    async def ease(self, fault: str) -> None:
        """Go on."""
        self.lacks.discard(fault)
        if fault == "disk_full" and self.bad_in("full start", "faults.full-order"):
            self.values["volume"] = 8
        if fault == "freeze" and not self.bad("faults.wakes"):
            self.awake.set()

    def is_stuck(self) -> bool:
        """Whether it answers nothing for what it lacks just now."""
        stuck = {"disk_full": "faults.full", "sound_dead": "faults.sound"}
        return self.bench.case in {"full", "no sound"} and any(
            self.bad(check) for lack, check in stuck.items() if lack in self.lacks
        )

    def reboot(self) -> None:
        """End the connection, as a machine does that starts again."""
        if self.session is not None:
            self.session.end()

    def wait(self, lived: float) -> float:
        self.failures = 0 if lived > 30 else self.failures + 1
        if self.bad_in("restarts", "link.no-storm"):
            return 0.1 + 0.02 * self.random.random()
        base = 0.5 * 2.0 ** min(max(self.failures - 1, 0), 4)
        if self.bad("link.jitter") or self.is_old:
            return base
        return base * (0.55 + 0.4 * self.random.random())

    async def live(self) -> float | None:
        """Live one connection; return for how many seconds, None: never again."""
        line = self.bench.connect()
        manner = await line.taken
        await asyncio.sleep(4 * manner.delay + (2000 / manner.pace if manner.pace else 0))
        if manner.clear is not None:
            return await self.meet_a_page(line)
        if not self.believes(manner):
            line.shaken.set_result("")
            if self.bad("tls.back") and manner.paper is Paper.CLIENT:
                await asyncio.sleep(400)
            return 0.0
        line.shaken.set_result("TLSv1.2" if manner.tls == "1.2" else "TLSv1.3")
        for lack, check in (
            ("clock_wrong", "faults.clock"),
            ("disk_read_only", "faults.read-only"),
        ):
            if lack in self.lacks and self.bad(check):
                await asyncio.sleep(30)
        session = self.session = Session(self, line)
        since = self.bench.now()
        await session.run()
        await asyncio.sleep(session.sulks)
        if session.refused:
            await asyncio.sleep(20)
        return self.bench.now() - since if session.registered else 0.0

    async def meet_a_page(self, line: VirtualLine) -> float | None:
        line.shaken.set_result("clear")
        line.send(b"\x16\x03\x01" if not self.bad("tls.secret") else f"token={TOKEN}".encode())
        line.leave()
        return None if self.bad("tls.page") else 0.0

    def believes(self, manner: Manner) -> bool:
        wrong = {
            Paper.EXPIRED: "tls.expired", Paper.FUTURE: "tls.future", Paper.HOST: "tls.host",
            Paper.AUTHORITY: "tls.authority", Paper.BESIDE: "tls.beside", Paper.SELF_SIGNED: "tls.self-signed",
            Paper.CLIENT: "tls.client",
        }  # fmt: skip
        if manner.paper in wrong:
            return self.bad(wrong[manner.paper])
        if (manner.pace and self.bad("link.works-slowly")) or (
            manner.delay and self.bad("link.works-late")
        ):
            return False
        if manner.paper is Paper.LONG and self.bad("tls.long"):
            return False
        if manner.tls == "1.1":
            return self.bad("tls.1.1")
        return not (manner.tls and self.bad(f"tls.{manner.tls}"))

    # Values.

    def put(self, name: str, payload: bytes) -> None:
        """Set a data point; raises RefusedError."""
        point = next(each for each in POINTS if each["name"] == name)
        self.values[name] = self.parsed(point, payload)

    def parsed(self, point: dict[str, Any], payload: bytes) -> object:
        name, kind, now = point["name"], point["type"], self.values[point["name"]]
        text = payload.decode(errors="replace")
        wrong = {
            "control.empty": not payload,
            "control.huge": len(payload) > 1024,
            "control.utf8": "\ufffd" in text,
            "control.type": kind == "bool" and text not in {"true", "false"},
            "control.characters": kind == "string" and not text.isprintable(),
        }
        if found := next((check for check, is_so in wrong.items() if is_so), ""):
            return self.lax(found, name, now)
        if kind == "int":
            return self.integer(point, text)
        return text == "true" if kind == "bool" else text

    def integer(self, point: dict[str, Any], text: str) -> object:
        name, pattern, now = point["name"], point["pattern"], self.values[point["name"]]
        if not text.lstrip("-").isdigit():
            return self.lax("control.type", name, now)
        value = int(text)
        if not pattern["min"] <= value <= pattern["max"]:
            if self.bad("control.unchanged"):
                self.values[name] = min(max(value, pattern["min"]), pattern["max"])
                raise RefusedError
            return self.lax("control.range", name, now)
        if (value - pattern["min"]) % pattern["step"]:
            return self.lax("control.step", name, now)
        return now if self.bad("control.sets") and name == "tone" else value

    def lax(self, check: str, name: str, now: object) -> object:
        """Refuse a value, or take it and change nothing, where that is the fault."""
        del name
        if self.bad(check):
            return now
        raise RefusedError

    def text(self, name: str) -> bytes:
        value = self.values[name]
        return str(value).lower().encode() if isinstance(value, bool) else str(value).encode()
