"""Builds the machine's data points with their back ends."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from agent.settings import Settings, SwitchSettings
from base.clock import TrustedTime
from base.local_time import local_time
from machine.level import KeptLevel
from machine.logind import LogindPowerOff, StandInPowerOff
from machine.microphone_switch import MicrophoneSwitch
from machine.player import find_player
from resources.announce.voice import Voice
from resources.datapoint import DataPoint
from resources.energy.build import build_battery, watch_battery
from resources.energy.meter import Meter
from resources.loudness.build import Titles, build_loudness
from resources.loudness.loudness import Loudness
from resources.online.opener import OnlineSettings, WebOpener
from resources.playing.events import State
from resources.playing.positions import Positions
from resources.playing.teller import Teller
from resources.points.child_lock import ChildLockPoint
from resources.points.listening import ListeningPoint
from resources.points.microphone import MicrophonePoint
from resources.points.night import NightPoint
from resources.points.play import PlayPoint
from resources.points.play_mode import PlayModePoint
from resources.points.player import PlayerPoint
from resources.points.power import ChargingPoint, PowerPoint
from resources.points.rules import RulesPoint
from resources.points.sleep_timer import SleepTimerPoint
from resources.points.switch import SwitchPoint
from resources.points.volume import VolumePoint
from resources.points.volume_limits import VolumeLimitsPoint
from resources.record import Record
from resources.times.idle import IdlePowerOff
from resources.times.listening import ListeningTimes
from resources.times.times import Times
from resources.titles.library import Library
from wire.datapoints import Value
from wire.story_points import VOLUME

_log = logging.getLogger(__name__)

ChangeListener = Callable[[str, Value], Awaitable[None]]


async def build_points(
    settings: Settings, state: Path, on_change: ChangeListener, clock: TrustedTime
) -> list[DataPoint]:
    """Return the open API's data points, in the order of its example, then ours."""

    async def title_changed(title: str) -> None:
        await on_change("play", title)

    async def volume_changed(step: int) -> None:
        await on_change(VOLUME.name, step)

    library = Library(state / settings.play.media_folder)
    online = _web_opener(settings, state, clock)
    level = KeptLevel()
    lock = ChildLockPoint(Record(state / "child_lock.json"))
    level.locked = lambda: lock.is_on
    loudness = build_loudness(level, state, functools.partial(local_time, clock), volume_changed)
    await loudness.open()
    memory = Positions(state, settings.play.resume)
    player = find_player(level, state / "player")
    teller = Teller(player, [online, library], title_changed, memory)
    teller.deck.source_for, teller.keep = online.source_for, online.keep
    teller.deck.why_cut = online.why_cut
    online.is_silent = lambda: teller.deck.track is None and not teller.deck.loading
    voice = _voice(settings, level, loudness, teller)
    lock.on_refused = voice.note_locked
    play = PlayPoint(teller, voice)
    times = Times(play.teller, clock, state, on_change)
    times.say = voice.say if voice.speaks else None
    play.order_said = times.order_said
    meter = Meter(build_battery(settings.battery))
    armed = LogindPowerOff() if settings.switch.armed else None
    watch = functools.partial(
        watch_battery, settings.battery, meter, teller, voice, on_change, armed
    )
    return [
        play,
        VolumePoint(loudness, Titles(library, play.teller, state, loudness)),
        _switch(settings.switch, play.teller, times),
        PowerPoint(meter),
        PlayerPoint(teller, on_change),
        PlayModePoint(teller, on_change),
        SleepTimerPoint(times),
        VolumeLimitsPoint(loudness),
        NightPoint(loudness),
        lock,
        RulesPoint(times),
        MicrophonePoint(MicrophoneSwitch(state / "microphone-off")),
        ListeningPoint(ListeningTimes(clock, state)),
        ChargingPoint(meter, watch),
    ]


def _web_opener(settings: Settings, state: Path, clock: TrustedTime) -> WebOpener:
    play = settings.play
    # The update's limit is there so that a story can stream meanwhile: reading ahead keeps it too.
    found = OnlineSettings(
        state / "stories", play.allow_networks, play.cache_bytes, settings.ota.max_bytes_per_second
    )
    return WebOpener(found, clock)


def _voice(settings: Settings, level: KeptLevel, loudness: Loudness, teller: Teller) -> Voice:
    """Return the machine's own voice, which says why nothing plays and how loud a knob was turned."""
    voice = Voice(settings.sounds, level.restore, is_night=lambda: loudness.is_night)
    teller.subscribe(voice.hear)
    loudness.after_turn = functools.partial(voice.note_turn, loudness, teller)
    return voice


def _switch(settings: SwitchSettings, teller: Teller, times: Times) -> SwitchPoint:
    """Return the power-off, by order and of a machine that nobody uses."""
    power_off = LogindPowerOff() if settings.armed else StandInPowerOff()
    idle = IdlePowerOff(settings.idle_minutes, power_off, time.monotonic)
    # A story that waits for a sound device may wait for ever; a machine that listens says so by itself.
    idle.needs.append(lambda: teller.state in {State.LOADING, State.PLAYING})
    times.used = idle.used
    return SwitchPoint(power_off, idle)


def times_of(points: Iterable[DataPoint], updating: Callable[[], bool]) -> Times | None:
    """Return what keeps the time of ``points``, if any does; a machine that is ``updating`` is not idle."""
    times = None
    for point in points:
        if isinstance(point, SwitchPoint) and point.idle is not None:
            point.idle.needs.append(updating)
        if isinstance(point, SleepTimerPoint):
            times = point.times
    return times
