"""The proof's device: puts numbers into the agent's outbox, says them, and delivers them.

    python -m tools.report_proof.sender STATE PROFILE LINK FIRST COUNT TOGETHER

Each number is printed once the outbox has it, TOGETHER of them at once. The process ends when all are put and delivered.
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
# Seconds between puts: about as fast as a report is put on a card, so that some always wait.
PUT_SECONDS = 0.01
# After so many reports all are waited for, so that they arrive while cuts and kills go on.
WAITING_MAX = 2000


async def refuse(_request: Request) -> Answer:
    """Answer the cloud's requests: this device has no data points."""
    return Answer(Code.NOT_FOUND)


async def put(outbox: Outbox, numbers: range, together: int) -> None:
    """Put the numbers, and say each that is stored."""
    for at in range(0, len(numbers), together):
        part = numbers[at : at + together]
        await asyncio.gather(*(outbox.put(KEY, number) for number in part))
        print(*part, sep="\n", flush=True)
        await asyncio.sleep(PUT_SECONDS)
        if at % WAITING_MAX + together >= WAITING_MAX:
            await outbox.emptied.wait()


async def main(
    state: Path, profile: Profile, link_kind: str, numbers: range, together: int
) -> None:
    """Run until all is delivered."""
    settings = LinkSettings(
        kind=LinkKind(link_kind), retry_max_seconds=0.5, refused_retry_seconds=1
    )
    outbox = Outbox(state / "outbox.sqlite", 2**30)
    await outbox.open()
    link = build_link(profile, settings, refuse, TrustedTime())
    async with asyncio.TaskGroup() as group:
        work = [group.create_task(link.run()), group.create_task(deliver(outbox, link))]
        await put(outbox, numbers, together)
        await outbox.emptied.wait()
        for task in work:
            task.cancel()
    await outbox.close()


if __name__ == "__main__":
    told = parse_profile(Path(sys.argv[2]).read_bytes())
    begin, many, at_once = map(int, sys.argv[4:7])
    wanted = range(begin, begin + many)
    asyncio.run(main(Path(sys.argv[1]), told, sys.argv[3], wanted, at_once))
