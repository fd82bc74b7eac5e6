"""``story-agent factory-reset``, and ``story-agent first-start``, which the import's unit runs as root before the agent."""

from __future__ import annotations

import argparse
import contextlib

from agent.exits import EX_OK
from agent.first.import_note import store_note
from agent.first.places import PlaceError, find_on_boot
from agent.first.provision import run_provision
from agent.first.reset import (
    ResetError,
    Wish,
    carry_out,
    finish,
    is_free,
    is_state_folder,
    kept_names,
    may_erase,
    store_wish,
    to_erase,
)
from agent.first.telling import Teller, is_person
from agent.first.unit import Service, UnitError
from agent.settings import Settings, SettingsError, load_settings
from agent.state import LOCK_NAME, AgentBusyError
from agent.words import Words
from agent.words.causes import explain, explain_error

SUDO = Words("用 sudo 运行", "run it with sudo")


def run_reset(options: argparse.Namespace) -> int:
    """Carry out ``factory-reset``; return the exit code."""
    teller = Teller()
    try:
        return _reset(options, teller)
    except (ResetError, PlaceError) as error:
        return teller.fail(error.cause, error.remedy)
    except SettingsError as error:
        return teller.fail(explain(str(error)))
    except AgentBusyError:
        return teller.fail(*_BUSY)
    except UnitError as error:
        return teller.fail(explain(str(error)), SUDO)
    except BrokenPipeError:
        raise  # nobody reads what is printed: `base.printing`
    except OSError as error:
        return teller.fail(
            explain_error(error), SUDO if isinstance(error, PermissionError) else None
        )


_BUSY = (Words("代理在运行", "an agent runs"), Words("先停掉它", "stop it first"))


def _reset(options: argparse.Namespace, teller: Teller) -> int:
    settings = load_settings(options.config)
    wish = Wish(keep_profile=options.keep_profile, media=options.media)
    if not options.state.is_dir():
        return teller.fail(
            Words(f"没有状态文件夹 {options.state}", f"there is no state folder {options.state}"),
            Words("用 --state 指明", "name it by --state"),
        )
    if not may_erase(options.state):
        return teller.fail(
            Words(f"不能改 {options.state}：没有权限", f"{options.state} may not be changed: permission denied"), SUDO
        )  # fmt: skip
    if not is_state_folder(options.state):
        return teller.fail(
            Words(f"{options.state} 不是代理的状态文件夹：里面没有 {LOCK_NAME}", f"{options.state} is no agent's state folder: it has no {LOCK_NAME}"),
            Words("用 --state 指明；什么都没有改变", "name it by --state; nothing was changed"),
        )  # fmt: skip
    _show(options, teller, settings, wish)
    if options.dry_run:
        return EX_OK
    if not _is_agreed(options, teller):
        return teller.fail(Words("没有改变任何东西", "nothing was changed"))
    return _carry_out(options, teller, settings, wish)


def _show(options: argparse.Namespace, teller: Teller, settings: Settings, wish: Wish) -> None:
    going = list(
        to_erase(
            options.state,
            kept_names(options.state, settings, wish, options.profile, options.config),
        )
    )
    named = ", ".join(path.name for path in going) or "-"
    teller.say(
        Words(f"将擦除 {options.state} 里的：{named}", f"erased in {options.state}: {named}")
    )
    if not wish.keep_profile:
        teller.say(
            Words(f"身份文件也将擦除：{options.profile}（--keep-profile 保留）", f"and the profile {options.profile} (--keep-profile keeps it)")
        )  # fmt: skip
    teller.say(
        Words(
            "保留：系统版本、升级的信任、设置" + ("" if wish.media else "、卡上的故事"),
            "kept: versions, what updates are trusted by, settings" + ("" if wish.media else ", the stories on the card"),
        )
    )  # fmt: skip
    teller.say(
        Words(
            "不在这里：云端的绑定由家长在 App 里解除；Wi-Fi 密码属于系统（nmcli connection delete）",
            "not here: the binding in the cloud, which the parents end in the app; Wi-Fi passwords are the system's (nmcli connection delete)",
        )
    )


def _is_agreed(options: argparse.Namespace, teller: Teller) -> bool:
    if options.yes:
        return True
    if not is_person():
        teller.fail(
            Words("没有人可以询问", "there is nobody to ask"), Words("加 --yes", "add --yes")
        )
        return False
    return teller.ask(Words("全部擦除？[y/N]", "Erase all of it? [y/N]"))


def _carry_out(options: argparse.Namespace, teller: Teller, settings: Settings, wish: Wish) -> int:
    """Stop, erase, start. From the wish on a cut is finished by the next start."""
    service = Service()
    runs = service.exists() and service.is_active()
    if not runs and not is_free(options.state):
        return teller.fail(*_BUSY)
    store_wish(options.state, wish)
    if runs:
        service.stop()
    carry_out(options.state, options.profile, settings, options.config)
    if runs:
        service.start()
    teller.say(Words("已恢复出厂", "the machine is as it left the factory"))
    return EX_OK


def run_first_start(options: argparse.Namespace) -> int:
    """Finish a reset and import a profile from the boot partition; whatever fails, the other is done."""
    teller = Teller()
    code = EX_OK
    try:
        finish(options.state, options.profile, options.config)
    except ResetError as error:
        code = teller.fail(error.cause, error.remedy)
    return _import(options) or code


def _import(options: argparse.Namespace) -> int:
    """Import the profile on the boot partition, if there is one, and leave a note of what became of it."""
    teller, place = Teller(), "/boot"
    try:
        place = str(find_on_boot())
    except PlaceError as error:
        if "profiles" not in error.cause.en:
            return EX_OK
        code = teller.fail(error.cause, error.remedy)
    else:
        code = run_provision(options, teller)
    done = Words(
        f"已导入启动分区上的 {place}，并在那里擦除", f"{place} was imported, and erased there"
    )
    cause, remedy = (done, None) if teller.failure is None else _refused(*teller.failure)
    with contextlib.suppress(OSError):
        store_note(options.state, cause, remedy)
    return code


def _refused(cause: Words, remedy: Words | None) -> tuple[Words, Words]:
    told = Words(
        f"启动分区上的身份文件：{cause.zh}", f"the profile on the boot partition: {cause.en}"
    )
    return told, remedy or Words("sudo story-agent doctor", "sudo story-agent doctor")
