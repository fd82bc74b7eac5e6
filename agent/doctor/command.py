"""The command ``story-agent doctor``: runs all checks, each with a deadline, and prints what they found."""

from __future__ import annotations

import argparse
import asyncio
import inspect
import json
import logging
import os
from collections.abc import Callable, Sequence
from typing import Any

from agent.doctor import board, cloud, files, home, host, records, sound, support, wake
from agent.doctor.findings import Finding, Level, bad, summary
from agent.doctor.mending import mend
from agent.doctor.patient import Patient, look_at
from agent.exits import EX_FAILED, EX_OK
from agent.words import Words, spoken

# Seconds; the longest check is three phases of the cloud's connection.
CHECK_SECONDS = 13.0

Check = Callable[[Patient], Any]
"""Returns a finding or several, or a coroutine that does."""
# In the order in which they are shown.
CHECKS: dict[str, Check] = {
    "settings": files.check_settings,
    "profile": files.check_profile,
    "import": files.check_import,
    "state": files.check_state,
    "records": records.check_records,
    "clock": files.check_clock,
    "zone": files.check_zone,
    "memory": host.check_memory,
    "card": host.check_card,
    "unit": host.check_unit,
    "agent": files.check_agent,
    "identity": files.check_identity,
    "outbox": files.check_outbox,
    "network": cloud.check_network,
    "dns": cloud.check_addresses,
    "cloud": cloud.check_cloud,
    "updates": files.check_updates,
    "support": support.check_support,
    "polkit": host.check_polkit,
    "extras": files.check_extras,
    "packages": files.check_packages,
    "home": home.check_home,
    "player": sound.check_player,
    "output": sound.check_output,
    "microphone": sound.check_microphone,
    "echo": sound.check_echo,
    "wake": wake.check_wake,
    "buttons": board.check_buttons,
    "light": board.check_light,
}


def run_doctor(options: argparse.Namespace) -> int:
    """Examine, mend if asked, and print; return 0 if nothing is wrong."""
    logging.getLogger().addHandler(logging.NullHandler())  # what parts log is in the findings
    patient = look_at(options.state, options.profile, options.config, os.environ)
    language = spoken()
    done = asyncio.run(mend(patient)) if options.fix else []
    if done:
        patient = look_at(options.state, options.profile, options.config, os.environ)
    checks = CHECKS | ({"chime": sound.check_chime} if options.chime else {})
    findings = asyncio.run(examine(patient, checks))
    text = as_json if options.json else as_lines
    print(text(findings, done, language))
    return EX_FAILED if any(finding.level is Level.BAD for finding in findings) else EX_OK


async def examine(patient: Patient, checks: dict[str, Check] | None = None) -> list[Finding]:
    """Run all checks at once; return their findings in the checks' order."""
    wanted = CHECKS if checks is None else checks
    results = await asyncio.gather(*(_run(name, check, patient) for name, check in wanted.items()))
    return [finding for found in results for finding in found]


async def _run(name: str, check: Check, patient: Patient) -> list[Finding]:
    """Run one check; one that hangs or fails is a finding too, and spoils no other."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            if inspect.iscoroutinefunction(check):
                return _listed(await check(patient))
            return await asyncio.to_thread(lambda: _listed(check(patient)))  # disks may hang
    except TimeoutError:
        cause = Words(f"{CHECK_SECONDS:g} 秒没有结果", f"no result in {CHECK_SECONDS:g} s")
    except Exception as error:  # noqa: BLE001  # a doctor who dies helps nobody
        told = f"{type(error).__name__}: {error}"
        cause = Words(f"检查本身出错：{told}", f"the check itself failed: {told}")
    return [bad(name, cause, Words("把这一行告诉制造商", "tell the maker this line"))]


def _listed(result: Any) -> list[Finding]:
    return [result] if isinstance(result, Finding) else list(result)


def as_lines(findings: Sequence[Finding], done: Sequence[Words], language: str) -> str:
    """Render for people."""
    lines = [f"* {words.of(language)}" for words in done]
    for finding in findings:
        lines += finding.lines(language)
    return "\n".join([*lines, summary(findings).of(language)])


def as_json(findings: Sequence[Finding], done: Sequence[Words], language: str) -> str:
    """Render for programs."""
    return json.dumps(
        {
            "ok": all(finding.level is not Level.BAD for finding in findings),
            "findings": [finding.to_json(language) for finding in findings],
            "mended": [words.of(language) for words in done],
        },
        ensure_ascii=False,
    )
