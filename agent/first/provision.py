"""``story-agent provision``: put a profile where the agent reads it, and see the machine register.

The order is check, show, ask, write, erase the copy on the boot partition, start, wait. The write is one rename: a
cut before it changes nothing, one after it leaves a copy that the next import finds to be the same and erases.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import hashlib
import sys
import time
from dataclasses import field
from enum import Enum
from pathlib import Path

from agent.exits import EX_OK
from agent.first.import_note import forget_note
from agent.first.page_place import page_line
from agent.first.places import PlaceError, erase, find_on_boot, find_on_usb
from agent.first.profile_file import (
    EXPORT_AGAIN,
    NO_PROFILE,
    PROFILE_MAX,
    Owner,
    ProfileFault,
    find_owner,
    group_name,
    parse,
    write_profile,
)
from agent.first.telling import Teller, is_person
from agent.first.unit import (
    POLL_SECONDS,
    Service,
    UnitError,
    ask_status,
    wait_until_registered,
    why_not,
)
from agent.words import Words
from agent.words.causes import explain, explain_error
from base.files import fsync_path, read_record
from wire.profile import Profile, ProfileError, parse_profile
from wire.records import dataclass

# Seconds in which an agent that was just started has its socket.
START_SECONDS = 5.0
_BOM = b"\xef\xbb\xbf"


class Before(Enum):
    """What is in the profile's place."""

    NOTHING = "nothing"
    SAME = "the same profile"
    OLDER = "another profile of the same machine"
    OTHER = "the profile of another machine"
    DAMAGED = "a file that is no profile"


@dataclass(frozen=True, slots=True)
class Source:
    """The profile that was brought.

    Attributes:
        name: where it is, for people.
        data: its bytes.
        copy: the file that is erased once they are in place; None: it stays.
    """

    name: str
    data: bytes = field(repr=False)
    copy: Path | None = None


def compare(existing: bytes | None, data: bytes, profile: Profile) -> tuple[Before, str]:
    """Return what is there already, and the uuid in it ("" if there is none)."""
    if existing is None:
        return Before.NOTHING, ""
    if existing == data:
        return Before.SAME, profile.uuid
    try:
        found = parse_profile(existing)
    except ProfileError:
        return Before.DAMAGED, ""
    same = found.uuid.lower() == profile.uuid.lower()
    return (Before.OLDER if same else Before.OTHER), found.uuid


def describe(profile: Profile, target: Path, owner: Owner, source: Source) -> list[Words]:
    """Return what is about to be done; no secret is in it."""
    authority = hashlib.sha256(profile.rsa_ca_crt.encode()).hexdigest()[:16]
    who = f"{owner.name}:{group_name(owner.group)}"
    lines = [
        Words(f"设备 {profile.uuid}（{source.name}）", f"device {profile.uuid} ({source.name})"),
        Words(
            f"云 {profile.server_addr}:{profile.coap_port}，CA {authority}…",
            f"cloud {profile.server_addr}:{profile.coap_port}, CA {authority}…",
        ),
        Words(
            f"写入 {target}，属主 {who}，权限 0400", f"written to {target}, owner {who}, mode 0400"
        ),
    ]
    if source.copy is not None:
        lines.append(Words(f"然后擦除 {source.copy}", f"then {source.copy} is erased"))
    return lines


def run_provision(options: argparse.Namespace, teller: Teller | None = None) -> int:
    """Carry out the command; return the exit code."""
    teller = teller or Teller()
    try:
        with contextlib.ExitStack() as stack:
            source = _bring(options, stack)
        return _Provision(options, teller, source).run()
    except PlaceError as error:
        return teller.fail(error.cause, error.remedy)
    except ProfileFault as error:
        return teller.fail(error.cause, error.remedy)
    except BrokenPipeError:
        raise  # nobody reads what is printed: `base.printing`
    except OSError as error:
        return teller.fail(explain_error(error), _remedy(error))
    except UnitError as error:
        told = explain(str(error))
        return teller.fail(
            Words(f"服务启动不了：{told.zh}", f"the service cannot be started: {told.en}"),
            Words("用 sudo 运行；systemctl status story-agent", "run it with sudo; systemctl status story-agent"),
        )  # fmt: skip


def _remedy(error: OSError) -> Words | None:
    if isinstance(error, PermissionError):
        return Words("用 sudo 运行", "run it with sudo")
    if error.errno == errno.ENOSPC:
        return Words("腾出空间；什么都没有改变", "make room; nothing was changed")
    if error.errno == errno.EROFS:
        return Words("把它挂载为可写", "mount it writable")
    return EXPORT_AGAIN if error.errno in NO_PROFILE else None


def _bring(options: argparse.Namespace, stack: contextlib.ExitStack) -> Source:
    """Read the profile from where it is; raises PlaceError or OSError."""
    if options.boot:
        path = find_on_boot()
        return _source(path, path)
    if options.usb:
        return _source(stack.enter_context(find_on_usb()))
    if options.file is None:
        raise PlaceError(
            Words("没有说身份文件在哪里", "it was not said where the profile is"),
            Words("story-agent provision 文件、-、--usb 或 --boot", "story-agent provision FILE, -, --usb or --boot"),
        )  # fmt: skip
    if str(options.file) == "-":
        data = sys.stdin.buffer.read(PROFILE_MAX + 1)
        if len(data) > PROFILE_MAX:
            raise OSError(errno.EFBIG, f"more than {PROFILE_MAX} bytes", "-")
        return Source("-", data.removeprefix(_BOM))
    return _source(options.file)


def _source(path: Path, copy: Path | None = None) -> Source:
    return Source(str(path), read_record(path, PROFILE_MAX).removeprefix(_BOM), copy)


class _Provision:
    """One run of the command with a profile that was found."""

    def __init__(self, options: argparse.Namespace, teller: Teller, source: Source) -> None:
        self._options = options
        self._teller = teller
        self._source = source
        self._target: Path = options.profile
        self._profile = parse(source.data, source.name)
        self._service = Service()

    def run(self) -> int:
        """Show, ask, write, start, wait."""
        before, uuid = compare(self._existing(), self._source.data, self._profile)
        if before is Before.OTHER and not self._options.replace:
            return self._refuse_other(uuid)
        owner = find_owner()
        for line in describe(self._profile, self._target, owner, self._source):
            self._teller.say(line)
        self._say_before(before, uuid)
        if self._options.dry_run:
            self._teller.say(Words("只是查看：什么都没有改变", "a dry run: nothing was changed"))
            return EX_OK
        if before is not Before.SAME and self._runs_by_hand():
            return self._teller.fail(
                Words("有一个不是服务的代理在运行", "an agent runs that is no service"),
                Words("先停掉它", "stop it first"),
            )
        if not self._is_agreed():
            return self._teller.fail(Words("没有改变任何东西", "nothing was changed"))
        self._put(before, owner)
        self._erase_copy()
        return EX_OK if self._options.no_start else self._start(before)

    def _existing(self) -> bytes | None:
        try:
            return read_record(self._target, PROFILE_MAX)
        except FileNotFoundError:
            return None

    def _refuse_other(self, uuid: str) -> int:
        return self._teller.fail(
            Words(
                f"{self._target} 已经是另一台设备 {uuid} 的身份，给的是 {self._profile.uuid}",
                f"{self._target} is the identity of another device, {uuid}; got {self._profile.uuid}",
            ),
            Words(
                "确实要换就加 --replace；给下一个家庭用的机器先 story-agent factory-reset",
                "add --replace if that is wanted; story-agent factory-reset first for a machine that goes to another family",
            ),
        )

    def _say_before(self, before: Before, uuid: str) -> None:
        match before:
            case Before.SAME:
                self._teller.say(Words("已经是同一份身份文件", "the same profile is there already"))
            case Before.OLDER:
                self._teller.say(
                    Words("替换同一台设备的旧文件", "replaces an older file of the same device")
                )
            case Before.OTHER:
                self._teller.say(
                    Words(f"替换另一台设备 {uuid} 的身份，它等待发送的报告也会删除", f"replaces the identity of {uuid}; its reports that wait are removed")
                )  # fmt: skip
            case Before.DAMAGED:
                self._teller.say(Words("替换一个损坏的文件", "replaces a damaged file"))
            case Before.NOTHING:
                pass

    def _is_agreed(self) -> bool:
        if self._options.yes:
            return True
        if not is_person() or self._source.name == "-":
            self._teller.fail(
                Words("没有人可以询问", "there is nobody to ask"), Words("加 --yes", "add --yes")
            )
            return False
        return self._teller.ask(Words("继续吗？[y/N]", "Go on? [y/N]"))

    def _put(self, before: Before, owner: Owner) -> None:
        """Write the profile; of another identity nothing that waits to be sent stays. Raises OSError, UnitError."""
        if before is Before.OTHER:
            if self._service.exists() and self._service.is_active():
                self._service.stop()
            waiting = sorted(self._options.state.glob("outbox.sqlite*"))
            for path in waiting:
                path.unlink()
            if waiting:  # before the new identity is there, so that a power cut brings none of them back under it
                fsync_path(self._options.state)
        with contextlib.suppress(OSError):  # of an import that somebody has now done by hand
            forget_note(self._options.state)
        if before is not Before.SAME or self._target.stat().st_mode & 0o777 != 0o400:
            write_profile(self._target, self._source.data, owner)

    def _erase_copy(self) -> None:
        if self._source.copy is None:
            return
        try:
            erase(self._source.copy)
        except OSError as error:
            words = explain_error(error)
            self._teller.fail(
                Words(f"{self._source.copy} 擦不掉：{words.zh}", f"{self._source.copy} cannot be erased: {words.en}"),
                Words("里面有密钥：请把它从卡上删掉", "it holds the token: remove it from the card"),
            )  # fmt: skip

    def _start(self, before: Before) -> int:
        began = time.monotonic()
        uuid, seconds = self._profile.uuid, self._options.wait
        if self._service.exists():
            if before is not Before.SAME or not self._service.is_active():
                self._service.start()
        elif not self._is_running():
            return self._teller.fail(
                Words("身份文件已写好，但没有服务可以启动", "the profile is in place, and there is no service to start"),
                Words("安装 story-agent.service，或运行 story-agent run", "install story-agent.service, or run story-agent run"),
            )  # fmt: skip
        self._teller.say(Words("等待设备在云端登记…", "waiting until the cloud has registered it…"))
        good, status = wait_until_registered(self._options.state, uuid, seconds)
        if not good:
            cause, remedy = why_not(status, uuid, seconds)
            return self._teller.fail(
                Words(f"不合格 {uuid}：{cause.zh}", f"FAIL {uuid}: {cause.en}"), remedy
            )
        took = time.monotonic() - began
        self._tell_page()  # before the last line, which is the result
        self._teller.say(
            Words(f"合格 {uuid}：已在云端登记，用时 {took:.1f} 秒", f"PASS {uuid}: registered after {took:.1f} s")
        )  # fmt: skip
        return EX_OK

    def _tell_page(self) -> None:
        if (line := page_line(self._options.config)) is not None:
            self._teller.say(line)

    def _runs_by_hand(self) -> bool:
        """Return whether an agent runs that nobody would start anew with the new profile."""
        if self._service.exists():
            return False
        status = ask_status(self._options.state)
        return status is not None and "setup" not in status

    def _is_running(self) -> bool:
        """Return whether an agent answers, or does so in a moment."""
        end = time.monotonic() + min(START_SECONDS, self._options.wait)
        while ask_status(self._options.state) is None:
            if time.monotonic() >= end:
                return False
            time.sleep(POLL_SECONDS)
        return True
