"""A factory reset: everything of the family is erased from the state folder, and the profile with it if that is asked.

The wish is on disk before anything is erased, and goes last: whatever cuts the work off, the next start does it
again. What stays is a short list, so that a file of a later version is erased unless somebody has put it there.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from agent.first import WISH_NAME, is_reset_wished
from agent.first.bind_token import FILE_NAME as BIND_TOKEN
from agent.first.profile_file import FaultToMend
from agent.media_place import OWN_FOLDERS, is_around
from agent.settings import Settings, SettingsError, judge, load_settings
from agent.settings_files import Layers, drop_in_folder, read_layers
from agent.state import LOCK_NAME, AgentBusyError, state_lock
from agent.words import Words
from base.files import fsync_path, write_atomically
from resources.titles.listing import is_searched, is_sound_name
from wire.records import dataclass

# The running version and those to go back to: programs, which older ones may be unsafe.
SLOTS = "slots"
# What updates are trusted by, and the time that is known: without them an old signature would do again.
OTA = "ota"
OTA_KEPT = ("metadata", "time.json", "task.json", "given_up.json", "rauc.json", "sound.json")

_log = logging.getLogger(__name__)


class ResetError(FaultToMend):
    """The reset is not finished."""

    def __init__(self, cause: Words, remedy: Words) -> None:
        """Use the words for people."""
        super().__init__(cause.en, cause, remedy)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants erased beside what is in the state folder.

    Attributes:
        keep_profile: whether the machine stays the one that it is.
        media: whether the folder of stories on the card goes too.
    """

    keep_profile: bool
    media: bool = False


def store_wish(state: Path, wish: Wish) -> None:
    """Put the wish on the disk; from here on a start carries it out. Raises OSError."""
    data = {"keep_profile": wish.keep_profile, "media": wish.media}
    # The agent may have to carry it out, which is another user than root.
    owner = _owner(state) if os.geteuid() == 0 else None
    write_atomically(state / WISH_NAME, json.dumps(data).encode(), mode=0o600, owner=owner)


def load_wish(state: Path) -> Wish | None:
    """Return the wish, None if there is none; one that is damaged keeps the profile."""
    try:
        data = json.loads((state / WISH_NAME).read_bytes())
        return Wish(data["keep_profile"] is not False, data["media"] is True)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ResetError(
            Words(f"{state / WISH_NAME}：{error.strerror}", f"{state / WISH_NAME}: {error.strerror}"),
            Words("sudo story-agent factory-reset", "sudo story-agent factory-reset"),
        ) from error  # fmt: skip
    except (ValueError, LookupError, TypeError, RecursionError):
        return Wish(keep_profile=True)


def is_state_folder(state: Path) -> bool:
    """Return whether an agent has ever run on ``state``: a mistyped ``--state /`` must erase nothing."""
    return (state / LOCK_NAME).is_file()


def kept_names(
    state: Path,
    settings: Settings,
    wish: Wish,
    profile: Path | None = None,
    config: Path | None = None,
) -> frozenset[Path]:
    """Return what stays, relative to the state folder; a folder stays with all that is in it.

    The profile and the settings may lie in the state folder too.
    """
    kept = {Path(SLOTS), Path(LOCK_NAME), Path(WISH_NAME), *(Path(OTA, name) for name in OTA_KEPT)}
    named = [settings.ota.root_file, settings.health.checks_folder]
    if not wish.media:
        named.append(settings.play.media_folder)
    whole = [] if config is None else [config, drop_in_folder(config)]
    if wish.keep_profile:
        # It stays the machine that it is, and shows the token that binds it.
        kept.add(Path(BIND_TOKEN))
        whole += [] if profile is None else [profile]
    named += [path.absolute() for path in whole]
    if not wish.media and is_around(state, settings.play.media_folder):
        kept.update(_stories_beside(state))
    state = state.absolute()
    for path in named:
        # They may be absolute, and inside the state folder all the same.
        with contextlib.suppress(ValueError):
            kept.add((state / path).relative_to(state))
    return frozenset(kept)


def _stories_beside(state: Path) -> Iterator[Path]:
    """Yield the stories in a state folder whose owner has put them there: titles, and folders that have some, whole."""
    for entry in state.iterdir():
        is_folder = entry.is_dir() and not entry.is_symlink()
        if is_folder and (entry.name in OWN_FOLDERS or not is_searched(os.fsencode(entry.name))):
            continue
        names = [name for _, _, below in os.walk(entry) for name in below] if is_folder else [entry.name]  # fmt: skip
        if any(is_sound_name(os.fsencode(name)) for name in names):
            yield Path(entry.name)


def to_erase(state: Path, kept: Collection[Path]) -> Iterator[Path]:
    """Yield what is to be erased: folders whole, unless something in them stays."""
    yield from _below(state, Path(), kept)


def _below(state: Path, folder: Path, kept: Collection[Path]) -> Iterator[Path]:
    for entry in sorted((state / folder).iterdir()):
        name = folder / entry.name
        if name in kept:
            continue
        is_folder = entry.is_dir() and not entry.is_symlink()
        if is_folder and any(name in other.parents for other in kept):
            yield from _below(state, name, kept)
        else:
            yield entry


def carry_out(state: Path, profile: Path, settings: Settings, config: Path | None = None) -> bool:
    """Erase what an unfinished wish says; return whether there was one. The caller runs no agent.

    Raises:
        ResetError: something stays; the next start tries again.
        AgentBusyError: an agent runs on the state folder.
    """
    if not is_reset_wished(state):  # of most starts the whole cost
        return False
    wish = load_wish(state)
    if wish is None:
        return False
    with _locked(state):
        try:
            _erase(state, profile, wish, kept_names(state, settings, wish, profile, config))
        except OSError as error:
            name = error.filename or state
            raise ResetError(
                Words(f"恢复出厂没有完成：{name}：{error.strerror}", f"the factory reset is not finished: {name}: {error.strerror}"),
                Words("sudo story-agent factory-reset；只读的卡要更换", "sudo story-agent factory-reset; replace a card that is read-only"),
            ) from error  # fmt: skip
    return True


def finish(state: Path, profile: Path, config: Path | None) -> None:
    """End a reset that was broken off, at a start; wrong settings do not keep a family's traces.

    Raises:
        ResetError: something stays.
    """
    settings = _readable_settings(config)
    with contextlib.suppress(AgentBusyError):  # the start is refused for that anyway
        if carry_out(state, profile, settings, config):
            _log.warning("factory reset: what the family has left is erased")


def _readable_settings(config: Path | None) -> Settings:
    """Return the settings, of wrong ones what can be read; a file that is no TOML may have said where the stories lie."""
    try:
        return load_settings(config)
    except SettingsError:
        layers = Layers() if config is None else read_layers(config)
    settings, _ = judge(layers.merged())
    if layers.faults:  # so that all that is a story by its name stays
        settings = replace(settings, play=replace(settings.play, media_folder=Path()))
    return settings


def _erase(state: Path, profile: Path, wish: Wish, kept: Collection[Path]) -> None:
    erased = list(to_erase(state, kept))
    for path in erased:
        _remove(path)
    # Each folder before the wish goes: after a power cut nothing may be there again.
    for folder in sorted({state, *(path.parent for path in erased)}):
        fsync_path(folder)
    if not wish.keep_profile:
        _remove_profile(profile)
    (state / WISH_NAME).unlink()
    fsync_path(state)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _remove_profile(profile: Path) -> None:
    """Remove the file and what a cut may have left of writing one."""
    for path in (profile, profile.with_name(f".{profile.name}.tmp")):
        path.unlink(missing_ok=True)
    if profile.parent.is_dir():
        fsync_path(profile.parent)


def _owner(state: Path) -> tuple[int, int]:
    found = state.stat()
    return found.st_uid, found.st_gid


@contextlib.contextmanager
def _locked(state: Path) -> Iterator[None]:
    """Hold the agent's lock; root leaves its file to the agent's user, who could not open it otherwise."""
    with state_lock(state):
        if os.geteuid() == 0:
            with contextlib.suppress(OSError):
                os.chown(state / LOCK_NAME, *_owner(state), follow_symlinks=False)
        yield


def is_free(state: Path) -> bool:
    """Return whether no agent runs on the state folder."""
    try:
        with _locked(state):
            return True
    except (AgentBusyError, OSError):
        return False


def may_erase(state: Path) -> bool:
    """Return whether whoever asks may change the state folder."""
    return os.access(state, os.W_OK | os.X_OK)
