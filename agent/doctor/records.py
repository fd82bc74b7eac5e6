"""The doctor's check of the small records in the state folder: which cannot be read, and what that costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from agent.doctor.findings import Finding, bad, good
from agent.doctor.patient import Patient
from agent.words import Words
from base.files import read_record
from resources.times.store import RULES, TimesStore
from wire.errors import WireError
from wire.fields import parse_object

_LISTENING = "listening_"


def check_records(patient: Patient) -> list[Finding]:
    """Return what cannot be read: the parents' rules first, since what they forbade is at stake."""
    faults = [*_rules(patient.state), *_others(patient)]
    return faults or [good("records", "小记录都能读", "all small records can be read")]


def _rules(state: Path) -> Iterator[Finding]:
    if reason := TimesStore(state, _LISTENING).load_rules().damaged:
        yield bad(
            "records", Words(f"聆听的家长规则读不出来，所以麦克风一直关着：{reason}", f"the parents' rules of listening cannot be read, so the microphone stays closed: {reason}"),
            Words("在 app 里重新设置聆听规则，或 story-agent set listening off", "set them again in the app, or story-agent set listening off"),
        )  # fmt: skip
    if reason := TimesStore(state).load_rules().damaged:
        yield bad(
            "records", Words(f"播放的家长规则读不出来，现在没有规则：{reason}", f"the parents' rules of playing cannot be read, so there are none now: {reason}"),
            Words("在 app 里重新设置播放规则，或 story-agent set rules off", "set them again in the app, or story-agent set rules off"),
        )  # fmt: skip


def _others(patient: Patient) -> Iterator[Finding]:
    """Look at every other record; the checks of profile and updates look at theirs."""
    theirs = {patient.profile_path, patient.state / patient.settings.ota.root_file}
    theirs |= {patient.state / RULES, patient.state / f"{_LISTENING}{RULES}"}
    for path in sorted(patient.state.glob("*.json")):
        if path in theirs:
            continue
        try:
            parse_object(read_record(path), path.name)
        except (OSError, WireError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            yield bad(
                "records", Words(f"{path.name} 读不出来，按默认值处理：{reason}", f"{path.name} cannot be read, and counts as empty: {reason}"),
                Words(f"删掉 {path}，重启代理，再把里面的设置重新设一次", f"remove {path}, restart the agent, and set again what it held"),
            )  # fmt: skip
