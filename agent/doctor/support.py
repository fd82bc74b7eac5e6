"""The doctor's check of the support's end: until when faults of what runs are mended."""

from __future__ import annotations

from datetime import UTC, date, datetime

from agent.doctor.findings import Finding, good, hint
from agent.doctor.patient import Patient
from agent.words import Words
from base.clock import TrustedTime
from ota.launch.running import running_release
from wire.support import SUPPORT_END

# Long enough for a family to decide what comes after.
SOON_DAYS = 180


def check_support(patient: Patient) -> Finding:
    """Return until when the machine is supported, by the clock that updates trust."""
    end = date.fromisoformat(patient.settings.ota.support_end or SUPPORT_END)
    trusted = TrustedTime(patient.state / "ota" / "time.json", running_release().built)
    return judge(end, datetime.fromtimestamp(trusted.now(), UTC).date())


def judge(end: date, today: date) -> Finding:
    """Return what it means on the day ``today`` that the support ends after the day ``end``."""
    left = (end - today).days
    if left < 0:
        return hint(
            "support", Words(f"支持已于 {end} 结束：安全问题不再修复", f"support ended on {end}: faults in its security are mended no more"),
            Words(
                "装上更新的版本；没有的话就断开网络，机器上的故事照样能放",
                "install a newer version; if there is none, keep the machine off the network: stories on it play on",
            ),
        )  # fmt: skip
    if left < SOON_DAYS:
        return hint(
            "support", Words(f"支持到 {end} 为止，还有 {left} 天", f"supported until {end}, {left} days more"),
            Words("装上更新的版本，或问制造商之后怎么办", "install a newer version, or ask the maker what comes after"),
        )  # fmt: skip
    return good("support", f"支持到 {end}", f"supported until {end}")
