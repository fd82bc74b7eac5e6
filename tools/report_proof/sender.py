"""The proof's device: puts numbers into the agent's outbox, says them, and delivers them.

    python -m tools.report_proof.sender STATE PROFILE LINK FIRST COUNT

Each number is printed once the outbox has it. The process ends when all are put and delivered.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from agent.link.build import build_link
from agent.link.delivery import deliver
from agent.link.outbox import Outbox
from agent.settings import LinkKind, LinkSettings
from base.clock import TrustedTime
from wire.codes import Code
from wire.exchange import Answer, Request
from wire.profile import Profile, parse_profile

KEY = "proof"
# Seconds between reports: about as fast as a report is put on a card, so that some always wait.
PUT_SECONDS = 0.01


async def refuse(_request: Request) -> Answer:
    """Answer the cloud's requests: this device has no data points."""
    return Answer(Code.NOT_FOUND)


async def put(outbox: Outbox, first: int, count: int) -> None:
    """Put the numbers, and say each that is stored."""
    for number in range(first, first + count):
        await outbox.put(KEY, number)
        print(number, flush=True)
        await asyncio.sleep(PUT_SECONDS)


async def main(state: Path, profile: Profile, link_kind: str, first: int, count: int) -> None:
    """Run until all is delivered."""
    settings = LinkSettings(
        kind=LinkKind(link_kind), retry_max_seconds=0.5, refused_retry_seconds=1
    )
    outbox = Outbox(state / "outbox.sqlite", 2**30)
    await outbox.open()
    link = build_link(profile, settings, refuse, TrustedTime())
    async with asyncio.TaskGroup() as group:
        work = [group.create_task(link.run()), group.create_task(deliver(outbox, link))]
        await put(outbox, first, count)
        await outbox.emptied.wait()
        for task in work:
            task.cancel()
    await outbox.close()


if __name__ == "__main__":
    told = parse_profile(Path(sys.argv[2]).read_bytes())
    asyncio.run(main(Path(sys.argv[1]), told, sys.argv[3], int(sys.argv[4]), int(sys.argv[5])))
