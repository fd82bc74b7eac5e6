"""Our own agent, a process of its own over real TLS, passes the quick suite on both links: no fail, no warn.

The cases wait more than they work, so that both links are tried at once. What is found is tried again: on a computer that stood
still for seconds it is not found twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from staging.advise import catalogue
from staging.advise.bench import AbsentError
from staging.advise.host import RealBench
from staging.advise.lab import Lab
from staging.advise.papers import Papers
from staging.advise.record import Known
from staging.advise.runner import Outcome, Runner
from staging.data_dir import Endpoints
from staging.identity import ca
from staging.identity.profiles import profile_of
from staging.store.models import Device
from tests import extras
from wire.profile import render_profile

UUID, TOKEN = "00830000000abc", "0123456789abcdef" * 2
# What it finds is how busy this computer is.
OF_THE_COMPUTER = {"control.swift"}
# Seconds for all cases, on a computer where each takes three times as long as it should.
LIMIT = 170.0
BAD = ("fail", "warn")


@contextlib.asynccontextmanager
async def our_agent(folder: Path, port: int, link: str, authority: str) -> AsyncIterator[None]:
    """Run the agent as it is delivered, led to a port of this process."""
    endpoints = Endpoints("https://127.0.0.1:1", "127.0.0.1", port, port if link == "mqtt" else 0)
    device = Device(uuid=UUID, token=TOKEN, bind_token="fedcba9876543210" * 2, version=0)
    profile = folder / "profile.json"
    profile.touch(mode=0o600)
    profile.write_bytes(render_profile(profile_of(device, endpoints, authority)))
    program = Path(sys.executable).parent / "story-agent"
    with (folder / "agent.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program,
            "run",
            "--profile",
            profile,
            "--state",
            folder / "state",
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def advise(folder: Path, certificates: ca.Certificates, link: str) -> dict[str, str]:
    """Run the quick suite; return each check's verdict, and what it saw."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    checks = [each for each in catalogue.select(catalogue.QUICK) if each.id not in OF_THE_COMPUTER]
    async with (
        RealBench(listener, Papers(certificates), link) as bench,
        our_agent(folder, port, link, certificates.ca.read_text("ascii")),
    ):
        await bench.open_web("127.0.0.1")
        lab = Lab(bench, Known(UUID, TOKEN, link))
        told = told_of(await Runner(lab, checks, limit=LIMIT).run())
        if again := [each for each in checks if told[each.id].startswith(BAD)]:
            with contextlib.suppress(AbsentError):  # then what was found first is told
                told |= told_of(await Runner(lab, again, limit=LIMIT).run())
    return told


def told_of(outcome: Outcome) -> dict[str, str]:
    return {
        each.check.id: f"{each.verdict.grade}: {each.verdict.seen.en}" for each in outcome.results
    }


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """Return a folder for each link's agent."""
    made = {link: tmp_path / link for link in ("coap", "mqtt")}
    for folder in made.values():
        folder.mkdir()
    return made


@pytest.mark.timeout(3 * LIMIT)
async def test_our_own_agent_has_nothing_to_mend(
    folders: dict[str, Path], certificates: ca.Certificates
) -> None:
    extras.require("paho")
    found = await asyncio.gather(
        *(advise(folder, certificates, link) for link, folder in folders.items())
    )
    for link, told in zip(folders, found, strict=True):
        wrong = {name: seen for name, seen in told.items() if seen.startswith(BAD)}
        assert wrong == {}, link
        passed = sum(seen.startswith("pass") for seen in told.values())
        assert passed >= {"coap": 45, "mqtt": 30}[link], told
