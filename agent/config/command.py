"""``story-agent config check|show|schema``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from agent.config.origins import explain_settings
from agent.config.schema import build_schema
from agent.exits import EX_FAILED, EX_OK
from agent.settings import STATE, doubts_of, judge
from agent.settings_files import Layers, drop_in_folder, read_layers
from agent.words import Words, say
from agent.words.causes import explain
from base.files import read_record
from wire.errors import FieldError
from wire.profile import Profile, ProfileError, parse_profile


def run_config(options: argparse.Namespace) -> int:
    """Run one action; return 1 if the settings have a fault, 0 if they have doubts only, which are told."""
    if options.action == "schema":
        print(json.dumps(build_schema(), ensure_ascii=False, indent=2))
        return EX_OK
    file = options.file or options.config
    layers = Layers() if file is None else read_layers(file)
    return _check(layers, file, options) if options.action == "check" else _show(layers, options)


def find_faults(layers: Layers) -> list[dict[str, object]]:
    """Return everything that is wrong, the files' own faults first, as objects for programs."""
    _, faults = judge(layers.merged())
    unread: list[dict[str, object]] = [
        {"file": str(fault.file), "line": None, "name": None, "fault": str(fault)}
        for fault in layers.faults
    ]
    return unread + [_place(fault, layers) for fault in faults]


def find_doubts(layers: Layers, state: Path = STATE) -> list[dict[str, object]]:
    """Return the settings that do nothing or may do harm, as `find_faults` does: the agent runs with them."""
    settings, faults = judge(layers.merged())
    return [] if faults else [_place(doubt, layers) for doubt in doubts_of(settings, state)]


def _place(fault: FieldError, layers: Layers) -> dict[str, object]:
    layer = layers.origin(fault.field)
    return {
        "file": None if layer is None else str(layer.file),
        "line": None if layer is None else layer.line_of(fault.field),
        "name": fault.field,
        "fault": str(fault),
    }


def _check(layers: Layers, file: Path | None, options: argparse.Namespace) -> int:
    faults, doubts = find_faults(layers), find_doubts(layers, options.state)
    read = [str(layer.file) for layer in layers.files]
    if options.json:
        told = {"ok": not faults, "files": read, "faults": faults, "doubts": doubts}
        print(json.dumps(told, ensure_ascii=False))
        return EX_FAILED if faults else EX_OK
    for each in (*faults, *doubts):
        _tell(each)
    if not faults and not doubts:
        print(_all_well(read, file))
    return EX_FAILED if faults else EX_OK


def _tell(fault: dict[str, object]) -> None:
    place = [str(part) for part in (fault["file"], fault["line"]) if part is not None]
    text = say(explain(str(fault["fault"])))
    print(f"{':'.join(place)}: {text}" if place else text, file=sys.stderr)


def _all_well(read: list[str], file: Path | None) -> str:
    if not read:
        where = f" ({drop_in_folder(file)})" if file else ""
        return say(
            Words(
                f"没有设置文件，一切用默认值{where}", f"no settings file: the defaults hold{where}"
            )
        )
    named = ", ".join(read)
    return say(Words(f"设置没有错误：{named}", f"the settings are well: {named}"))


def _show(layers: Layers, options: argparse.Namespace) -> int:
    settings, wrong = judge(layers.merged())
    faults = find_faults(layers)
    faulty = {fault.field for fault in wrong}
    shown = list(explain_settings(settings, layers, _read_profile(options.profile), faulty))
    if options.json:
        values = {each.name: {"value": each.value, "from": each.origin.en} for each in shown}
        print(json.dumps({"settings": values, "faults": faults}, ensure_ascii=False))
    else:
        width = max(len(each.name) for each in shown)
        for each in shown:
            value = json.dumps(each.value, ensure_ascii=False)
            print(f"{each.name:<{width}} = {value}    # {say(each.origin)}")
        sys.stdout.flush()  # before the faults, where both go to one place
        for told in (*faults, *find_doubts(layers, options.state)):
            _tell(told)
    return EX_FAILED if faults else EX_OK


def _read_profile(path: Path) -> Profile | None:
    """Return the profile, None if it cannot be read, which is the doctor's affair."""
    try:
        return parse_profile(read_record(path))
    except (OSError, ProfileError):
        return None
