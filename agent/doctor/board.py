"""Checks of what is soldered to the board: buttons and the light."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from agent.doctor.findings import Finding, bad, good, hint, skipped
from agent.doctor.patient import Patient
from agent.words import Words
from machine.button_settings import NONE, ButtonSettings, LightSettings, Reader
from machine.gpio_chip import find_chip
from machine.input_keys import InputSource
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
    if lines and (fault := _lines_fault(patient)):
        return bad(
            "buttons", fault,
            Words(
                "usermod -aG gpio story-agent；在 config.txt 启用 GPIO；gpiozero 用 pip install '.[gpio]' 安装",
                "usermod -aG gpio story-agent; enable the GPIO in config.txt; gpiozero comes with pip install '.[gpio]'",
            ),
        )  # fmt: skip
    if settings.input and (finding := _input_finding(settings)):
        return finding
    if isinstance(unread := patient.says("buttons", "unread"), list) and unread:
        named = ", ".join(map(str, unread))
        return bad(
            "buttons", Words(f"代理读不到：{named}", f"the agent cannot read them: {named}"),
            Words("按提示处理；代理会自己再试", "do as it says; the agent tries again by itself"),
        )  # fmt: skip
    told = patient.says("buttons", "from") or ", ".join(
        f"{key} {line}" for key, line in lines.items()
    )
    return good("buttons", str(told or settings.input), str(told or settings.input))


def _lines_fault(patient: Patient) -> Words | None:
    """Return why the lines cannot be read by what the settings choose."""
    settings, agent_reads = patient.settings.buttons, patient.says("buttons", "unread") == []
    if settings.reader is Reader.GPIOZERO:
        missing = find_spec("gpiozero") is None
        return Words("没有安装 gpiozero", "gpiozero is not installed") if missing else None
    # Without a chip gpiozero may reach pins elsewhere, which only who opened them knows.
    return None if agent_reads else _chip_fault(find_chip(settings.chip))


def _input_finding(settings: ButtonSettings) -> Finding | None:
    """Return what is wrong with the input devices that the settings mean, None if one is there."""
    names, refused = InputSource(settings).find()
    if names:
        return None
    if refused:
        named = ", ".join(map(str, refused))
        return bad(
            "buttons", Words(f"{named} 不能读", f"{named} cannot be read by this user"),
            Words("usermod -aG input story-agent", "usermod -aG input story-agent"),
        )  # fmt: skip
    return hint(
        "buttons", Words(f"没有名为 {settings.input} 的按键设备", f"no input device with such keys is there: {settings.input}"),
        Words("接上或唤醒它；cat /proc/bus/input/devices 列出名字", "connect it, or wake it up; cat /proc/bus/input/devices lists the names"),
    )  # fmt: skip


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
    state = patient.says("listening", "light")
    if isinstance(state, str) and not state.endswith((": on", ": off")):
        return bad(
            "light", Words(f"代理点不亮：{state}", f"the agent cannot turn it on: {state}"),
            Words("检查 light.led、light.gpio 和它们的权限", "check light.led, light.gpio, and who may write them"),
        )  # fmt: skip
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
