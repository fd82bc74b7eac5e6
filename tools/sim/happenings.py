"""What can happen in a simulated world, by name (`tools.sim.scenario`): people, and faults with their ends."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tools.sim import (
    aging,
    cloud_side,
    log_ins,
    machine_side,
    night_limit,
    settings_side,
    twin_orders,
    voice_home,
    web_list_side,
)  # fmt: skip
from tools.sim.clock import START
from tools.sim.ears import say_nothing, speak
from tools.sim.faults import for_a_while
from tools.sim.hands_free import say_word, trouble
from tools.sim.machine import TITLES, Faulty
from tools.sim.people import adders, begin, by_app, by_hand, crowd, forged
from tools.sim.repository import VERSIONS
from wire.rules import DAY_MINUTES, show_minute

if TYPE_CHECKING:
    from tools.sim.world import World

Happening = Callable[["World", float], None]
HAPPENINGS: dict[str, Happening] = {}
# Calls of the disk in which an update's end is told and noted as told.
END_CALLS = 24


def happening(name: str) -> Callable[[Happening], Happening]:
    """Register what happens under a name."""

    def register(work: Happening) -> Happening:
        HAPPENINGS[name] = work
        return work

    return register


def pick(chance: float, *choices: Any) -> Any:
    """Return one of the choices."""
    return choices[int(chance * len(choices)) % len(choices)]


# The child and others in the room.


@happening("play")
def _play(world: World, chance: float) -> None:
    by_hand(world, "play", TITLES[int(chance * len(TITLES))])


@happening("next")
def _next(world: World, chance: float) -> None:
    by_hand(world, "play", pick(chance, "next", "previous", "next"))


@happening("pause")
def _pause(world: World, chance: float) -> None:
    by_hand(world, "play", pick(chance, "pause", "resume"))


@happening("stop")
def _stop(world: World, _chance: float) -> None:
    by_hand(world, "play", "stop")


@happening("volume")
def _volume(world: World, chance: float) -> None:
    by_hand(world, "volume", str(int(chance * 16)))


@happening("knob")
def _knob(world: World, chance: float) -> None:
    world.observer.promises.touch()
    world.machine.sounds.turn(chance)


happening("speak")(speak)
happening("says nothing")(say_nothing)
happening("wake word")(say_word)
happening("wake process")(trouble)
happening("crowd")(crowd)
happening("adders")(adders)
happening("forged")(forged)
for part in (
    aging, cloud_side, log_ins, machine_side, night_limit, settings_side, twin_orders, voice_home, web_list_side,
):  # fmt: skip
    HAPPENINGS.update(part.HAPPENINGS)


# The parents, by the open API's way.


@happening("sent again")
def _sent_again(world: World, chance: float) -> None:
    """Somebody who has listened sends an app's request a second time."""
    api, apps = world.cloud.some_api(), world.observer.apps
    if api is not None and apps.heard:
        begin(world, apps.ask_again(api, pick(chance, *apps.heard)), api)


@happening("command")
def _command(world: World, chance: float) -> None:
    rng = random.Random(chance)  # noqa: S311  # a simulation
    name, value = rng.choice([
        ("volume", str(rng.randrange(16))), ("play", rng.choice(TITLES)), ("play", "stop"),
        ("play", rng.choice(["next", "pause", "resume"])), ("volume", str(rng.randrange(16))),
    ])  # fmt: skip
    by_app(world, name, value)


@happening("mode")
def _mode(world: World, chance: float) -> None:
    by_app(world, "play_mode", pick(chance, "order", "repeat-one", "shuffle", "repeat-all"))


@happening("sleep timer")
def _sleep_timer(world: World, chance: float) -> None:
    by_app(world, "sleep_timer", pick(chance, "5", "15", "off", "end"))


@happening("rules")
def _rules(world: World, chance: float) -> None:
    hour = int(chance * 24)
    quiet = f"quiet {hour:02}:00-{(hour + 3) % 24:02}:30"
    by_app(world, "rules", pick(chance * 7 % 1, "off", quiet, "daily 30", f"{quiet}; daily 60"))


@happening("mute")
def _mute(world: World, chance: float) -> None:
    by_app(world, "microphone", pick(chance, "false", "true"))


@happening("lock")
def _lock(world: World, chance: float) -> None:
    by_app(world, "child_lock", pick(chance, "false", "false", "true"))


@happening("limits")
def _limits(world: World, chance: float) -> None:
    by_app(world, "volume_limits", pick(chance, "max=15", "max=12", "max=8"))


@happening("bedtime")
def _bedtime(world: World, chance: float) -> None:
    """Quiet hours that begin in this minute or one of the next; some last until another day's."""
    minute = int((START + world.loop.time()) // 60) + int(chance * 3)
    hours = pick(chance * 7 % 1, 3, 23)
    begin, end = minute % DAY_MINUTES, (minute + hours * 60) % DAY_MINUTES
    by_app(world, "rules", f"quiet {show_minute(begin)}-{show_minute(end)}")


@happening("many orders")
def _many_orders(world: World, chance: float) -> None:
    """Somebody draws the volume's slider over the whole screen."""
    for step in range(40):
        by_app(world, "volume", str((step + int(chance * 16)) % 16))


@happening("nap")
def _nap(world: World, chance: float) -> None:
    by_app(world, "sleep_timer", pick(chance, "1", "2", "3"))


# Updates.


def _order(world: World, version: str, faulty: Faulty) -> None:
    world.machine.versions.setdefault(version, faulty)
    task = world.cloud.run(world.cloud.order(world.machine.name, version))
    if task is not None:
        world.cloud.buried.append(task)
        world.observer.count("orders")


@happening("update")
def _update(world: World, chance: float) -> None:
    _order(world, VERSIONS[int(chance * len(VERSIONS))], Faulty())


@happening("bad update")
def _bad_update(world: World, chance: float) -> None:
    kind = pick(chance * 7 % 1, Faulty(crashes=True), Faulty(deaf=True), Faulty(dies_after=20.0))
    _order(world, VERSIONS[int(chance * len(VERSIONS))], kind)


@happening("cut at an end")
def _cut_at_end(world: World, chance: float) -> None:
    """Order an update, and let the power go as it tells its end."""
    world.observer.count("faults")
    _order(world, pick(chance, *VERSIONS), Faulty())
    world.cut_at_end = 1 + int(chance * 1000) % END_CALLS


@happening("cancel")
def _cancel(world: World, _chance: float) -> None:
    gateway = world.cloud.gateway

    async def cancel() -> None:
        if gateway is not None:
            with contextlib.suppress(Exception):  # there is none, or it is too late
                await gateway.cancel_update(world.machine.name)

    task = world.cloud.run(cancel())
    if task is not None:
        world.cloud.buried.append(task)


@happening("second thoughts")
def _second_thoughts(world: World, chance: float) -> None:
    """Order an update, and take it back while it is under way."""
    _update(world, chance)
    world.later(0.5 + 30 * (chance * 7 % 1), lambda: _cancel(world, chance))


# Faults. Each has an end, which `heal` calls too.


def heal(world: World) -> None:
    """End all faults."""
    world.cut_at_end = 0
    for undo in list(world.undo.values()):
        undo()
    world.undo.clear()
    world.machine.mount.cut_at = world.cloud.mount.cut_at = 0
    world.machine.come_back()
    world.cloud.come_back()
    world.cloud.put_back()
    world.twins.heal()
    if world.cloud.second is not None:
        world.cloud.second.start()
    if world.broker is not None:
        world.broker.come_back()


def go_to_bed(world: World, seconds: float) -> None:
    """Let the family end what plays, again if that fails, within ``seconds``: what waits for a quiet moment has it now."""
    for part in (0.4, 0.45, 0.55):
        world.later(part * min(seconds, 600.0), lambda: by_hand(world, "play", "stop", local=False))


def _path(world: World) -> Any:
    return world.net.path(world.machine.name)


@happening("network cut")
def _network_cut(world: World, _chance: float) -> None:
    world.observer.count("faults")
    world.net.reset(world.machine.name)


@happening("network down")
def _network_down(world: World, chance: float) -> None:
    _path(world).set_up(up=False)
    for_a_while(world, "network down", 5 + 1800 * chance**3, lambda: _path(world).set_up(up=True))


@happening("short outage")
def _short_outage(world: World, chance: float) -> None:
    """Hold all for so long that no end notices: what was sent meanwhile comes late."""
    _path(world).set_up(up=False)
    for_a_while(world, "network down", 4 + 21 * chance, lambda: _path(world).set_up(up=True))


@happening("tunnel")
def _tunnel(world: World, chance: float) -> None:
    """Hold an order for longer than its deadline; a proxy gives it on before it passes the connection's end on."""
    _proxy(world, 0.0)
    _path(world).set_up(up=False)
    world.later(0.5, lambda: _command(world, chance))
    for_a_while(world, "network down", 11 + 6 * chance, lambda: _path(world).set_up(up=True))


@happening("half open")
def _half_open(world: World, chance: float) -> None:
    world.observer.count("faults")
    world.net.half_open(world.machine.name, server_forgets=chance < 0.5)


@happening("slow network")
def _slow(world: World, chance: float) -> None:
    path = _path(world)
    path.latency, path.loss = (0.2, 0.5 + 3 * chance), 0.2 * chance

    def undo() -> None:
        path.latency, path.loss = (0.01, 0.06), 0.0

    for_a_while(world, "slow network", 60 + 1800 * chance, undo)


def _names(world: World, kind: str, chance: float) -> None:
    path = _path(world)
    path.names = kind

    def undo() -> None:
        path.names = "answers"

    for_a_while(world, "name server", 30 + 900 * chance, undo)


@happening("name server")
def _name_server(world: World, chance: float) -> None:
    _names(world, pick(chance, "fails", "hangs"), chance)


@happening("dead addresses")
def _dead_addresses(world: World, chance: float) -> None:
    _names(world, "has dead addresses", chance)


@happening("portal")
def _portal(world: World, chance: float) -> None:
    path = _path(world)
    path.portal = True

    def undo() -> None:
        path.portal = False

    for_a_while(world, "portal", 30 + 600 * chance, undo)
    world.net.reset(world.machine.name)


@happening("proxy")
def _proxy(world: World, chance: float) -> None:
    """Let a proxy stand before the cloud that acknowledges all: no end that is dead is found by TCP."""
    path = _path(world)
    path.proxied = True

    def undo() -> None:
        path.proxied = False

    for_a_while(world, "proxy", 300 + 3600 * chance, undo)


@happening("dead proxy")
def _dead_proxy(world: World, chance: float) -> None:
    """Let a proxy carry nothing more, and acknowledge all the same."""
    _proxy(world, chance)
    world.later(60.0, lambda: _half_open(world, chance))


@happening("kill")
def _kill(world: World, _chance: float) -> None:
    world.observer.count("faults")
    world.machine.kill()


@happening("power cut")
def _power_cut(world: World, _chance: float) -> None:
    world.observer.count("faults")
    world.machine.lose_power()


@happening("bit flip")
def _bit_flip(world: World, chance: float) -> None:
    world.observer.count("faults")
    world.machine.flip = chance
    world.machine.lose_power("power cut, and a bit of its card is another one")


@happening("cut at a call")
def _cut_at_call(world: World, chance: float) -> None:
    world.observer.count("faults")
    mount = world.machine.mount
    mount.cut_at = mount.steps + 1 + int(chance * 40)


def _disk(world: World, name: str, chance: float) -> None:
    mount = world.machine.mount
    setattr(mount, name, True)

    def undo() -> None:
        mount.full = mount.read_only = world.machine.mount.full = False
        world.machine.mount.read_only = world.machine.card_away

    for_a_while(world, "disk", 20 + 1200 * chance, undo)


@happening("full disk")
def _full(world: World, chance: float) -> None:
    _disk(world, "full", chance)


@happening("read-only disk")
def _read_only(world: World, chance: float) -> None:
    _disk(world, "read_only", chance)


@happening("no sound device")
def _no_device(world: World, chance: float) -> None:
    sounds = world.machine.sounds
    world.observer.promises.touch()
    sounds.plug(there=False)
    for_a_while(world, "no sound device", 2 + 300 * chance**2, lambda: sounds.plug(there=True))


@happening("slow sound")
def _slow_sound(world: World, chance: float) -> None:
    """Let a card or a server take its time to begin."""
    sounds = world.machine.sounds
    sounds.slow = 6.5 * chance

    def undo() -> None:
        sounds.slow = 0.0

    for_a_while(world, "slow sound", 60 + 600 * chance, undo)


@happening("broken track")
def _broken(world: World, chance: float) -> None:
    sounds = world.machine.sounds
    title = TITLES[int(chance * len(TITLES))]
    sounds.broken.add(f"{world.machine.state}/media/{title}.mp3")
    for_a_while(world, "broken track", 3600.0, sounds.broken.clear)


@happening("clock")
def _clock(world: World, chance: float) -> None:
    machine = world.machine
    machine.set_clock(pick(chance, -1.7e9, -86400.0 * 3, 3600.0, 40.0, -40.0))
    for_a_while(world, "clock", 60 + 1800 * chance, lambda: machine.set_clock(0.0))


@happening("cloud kill")
def _cloud_kill(world: World, _chance: float) -> None:
    world.observer.count("faults")
    world.cloud.kill()


@happening("cloud power cut")
def _cloud_power(world: World, _chance: float) -> None:
    world.observer.count("faults")
    world.cloud.lose_power()


@happening("full cloud")
def _full_cloud(world: World, chance: float) -> None:
    """Let the store's disk be full: the cloud answers that it cannot take reports now."""
    world.cloud.mount.full = True

    def undo() -> None:
        world.cloud.mount.full = False

    for_a_while(world, "full cloud", 20 + 300 * chance, undo)


@happening("repository")
def _repository(world: World, chance: float) -> None:
    web = world.web
    web.breaks, web.missing, web.spoils = chance * 0.5, chance > 0.8, chance < 0.3

    def undo() -> None:
        web.breaks, web.missing, web.spoils = 0.0, False, False

    for_a_while(world, "repository", 120 + 1200 * chance, undo)


@happening("other packages")
def _other_packages(world: World, chance: float) -> None:
    """Let somebody who has no key put another build of each version, as long and whole, in the signed one's place, and the cloud list it."""
    signed = {each.version: each.md5 for each in world.repository.offered.values()}
    world.web.replaces = True
    begin(world, world.cloud.list_md5(world.repository.other_md5))

    def undo() -> None:
        world.web.replaces = False
        begin(world, world.cloud.list_md5(signed))

    for_a_while(world, "other packages", 120 + 1200 * chance, undo)


@happening("on battery")
def _on_battery(world: World, chance: float) -> None:
    battery = world.machine.battery
    battery.powered = False
    if chance > 0.5:
        battery.level = min(battery.level, 10 + 40 * chance)

    def undo() -> None:
        battery.powered = True

    for_a_while(world, "on battery", 600 + 20000 * chance**2, undo)


@happening("power button")
def _power_button(world: World, _chance: float) -> None:
    by_hand(world, "switch", "true")
