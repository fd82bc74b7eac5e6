"""The settings in force, each with where it comes from: default, a file, or the profile. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import fields
from pathlib import Path

from agent.config.hiding import hide
from agent.settings import TABLES, LinkKind, Settings
from agent.settings_files import Layers
from agent.words import Words
from wire.profile import Profile
from wire.records import dataclass

DEFAULT = Words("默认", "default")
PROFILE = Words("身份文件", "profile")


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting.

    Attributes:
        name: ``table.member``.
        value: the value in force, as TOML and JSON have it, without secrets.
        origin: where it comes from.
    """

    name: str
    value: object
    origin: Words


def explain_settings(
    settings: Settings, layers: Layers, profile: Profile | None, faulty: Collection[str] = ()
) -> Iterator[Shown]:
    """Yield every setting in the order of the tables; those named by ``faulty`` have their defaults."""
    told = _of_profile(settings, profile)
    for table, kind in TABLES.items():
        values = getattr(settings, table)
        for member in fields(kind):
            name = f"{table}.{member.name}"
            if name in told:
                yield Shown(name, told[name], PROFILE)
                continue
            layer = None if name in faulty else layers.origin(name)
            place = DEFAULT if layer is None else _place(layer.file, layer.line_of(name))
            yield Shown(name, plain(getattr(values, member.name)), place)


def _of_profile(settings: Settings, profile: Profile | None) -> dict[str, object]:
    """Return the members that the settings leave to the profile, and its values."""
    if profile is None:
        return {}
    told: dict[str, object] = {}
    made = profile.configures
    if settings.link.kind is LinkKind.AUTO and (kind := made.get("link")):
        told["link.kind"] = plain(kind)
    if settings.link.mqtt_port == 0 and (port := made.get("mqttPort")):
        told["link.mqtt_port"] = plain(port)
    if not settings.ota.repository and (repository := made.get("otaRepository")):
        told["ota.repository"] = plain(repository)
    return told


def _place(file: Path, line: int | None) -> Words:
    place = f"{file}" if line is None else f"{file}:{line}"
    return Words(place, place)


def plain(value: object) -> object:
    """Return a value as JSON has it, without secrets."""
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    return hide(str(value))
