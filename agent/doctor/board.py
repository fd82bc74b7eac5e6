"""Checks of what is soldered to the board: buttons and the light."""

from __future__ import annotations

import os
from pathlib import Path

from agent.doctor.findings import Finding, Words, bad, good, hint, skipped
from agent.doctor.patient import Patient
from machine.button_settings import NONE, LightSettings, Reader
from machine.gpio_chip import find_chip
from machine.light import LEDS


def check_buttons(patient: Patient) -> Finding:
    """Return whether the buttons can be read, and which of them are faulty."""
    settings = patient.settings.buttons
    lines = dict(settings.lines())
    if not lines and not settings.input:
        return skipped("buttons", "没有设置按键", "no buttons are set")
    faults = patient.says("buttons", "faults")
    if isinstance(faults, dict) and faults:
        named = ", ".join(f"{key}: {fault}" for key, fault in faults.items())
        return bad(
            "buttons", Words(f"按键有故障：{named}", f"faulty: {named}"),
            Words("检查按键、连线和 buttons.pull", "check the button, its wire, and buttons.pull"),
        )  # fmt: skip
    by_library = settings.reader is Reader.GPIOZERO
    if lines and not by_library and (fault := _chip_fault(find_chip(settings.chip))):
        return bad(
            "buttons", fault,
            Words("usermod -aG gpio story-agent；在 config.txt 启用 GPIO", "usermod -aG gpio story-agent; enable the GPIO in config.txt"),
        )  # fmt: skip
    told = patient.says("buttons", "from") or ", ".join(
        f"{key} {line}" for key, line in lines.items()
    )
    return good("buttons", str(told or settings.input), str(told or settings.input))


def _chip_fault(chip: Path | None) -> Words | None:
    if chip is None:
        return Words("没有 /dev/gpiochip*", "there is no /dev/gpiochip*")
    if not os.access(chip, os.R_OK | os.W_OK):
        return Words(f"{chip} 不能打开", f"{chip} cannot be opened by this user")
    return None


def check_light(patient: Patient, folder: Path = LEDS) -> Finding:
    """Return whether the light can be turned on."""
    settings = patient.settings.light
    if settings == LightSettings():
        return skipped("light", "没有设置指示灯", "no light is set")
    if settings.led:
        file = folder / settings.led / "brightness"
        if not os.access(file, os.W_OK):
            return bad(
                "light", Words(f"{file} 不能写", f"{file} cannot be written"),
                Words("安装 systemd/60-story-light.rules 和 story-agent-light.conf", "install systemd/60-story-light.rules and story-agent-light.conf"),
            )  # fmt: skip
        return good("light", settings.led, settings.led)
    if settings.gpio != NONE and (fault := _chip_fault(find_chip(settings.chip))):
        return bad(
            "light", fault, Words("usermod -aG gpio story-agent", "usermod -aG gpio story-agent")
        )
    return hint(
        "light", Words(f"GPIO {settings.gpio}：代理被杀死时，它怎样由芯片决定", f"GPIO {settings.gpio}: what it shows after the agent was killed is the chip's affair"),
        Words("用 dtoverlay=gpio-led 和 light.led", "use dtoverlay=gpio-led and light.led"),
    )  # fmt: skip
