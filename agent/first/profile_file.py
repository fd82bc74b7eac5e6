"""The profile's file on a machine: read with a look at who else can read it, and written whole.

It holds the token, so nobody but the agent's user may read it. One that others can read is mended where that
can be done, else refused; either is told.
"""

from __future__ import annotations

import errno
import grp
import logging
import os
import pwd
import stat
from pathlib import Path

from agent.settings import SettingsError
from agent.words import Words
from base.files import make_folder, read_record, write_atomically
from wire.profile import Profile, ProfileError, parse_profile
from wire.records import dataclass

# Bytes. A profile has 2 to 5 KB, most of them the CA's certificate.
PROFILE_MAX = 64 * 1024
# As the profile should be; 0440 does for machines whose agent reads it by its group.
MODE, MODE_BY_GROUP = 0o400, 0o440
# What nobody but the owner and its group's readers may have.
FOREIGN = stat.S_IRWXO | stat.S_IWGRP | stat.S_IXGRP
AGENT_USER = "story-agent"

PUT_ONE = Words(
    "运行 sudo story-agent provision 文件（或 --usb），或把它以 story-agent.profile 为名放到启动分区再开机",
    "run sudo story-agent provision FILE (or --usb), or put it onto the boot partition as story-agent.profile and start",
)

EXPORT_AGAIN = Words(
    "从云端重新导出这台设备的文件，再运行 sudo story-agent provision 文件",
    "export this machine's file from the cloud again, then sudo story-agent provision FILE",
)
# Of a file that is no profile at all: larger than any, a folder, a pipe.
NO_PROFILE = frozenset({errno.EFBIG, errno.EINVAL, errno.EISDIR})

_log = logging.getLogger(__name__)


class FaultToMend(SettingsError):  # noqa: N818  # what is wrong with a machine, and what a person can do
    """The machine cannot start; ``cause`` and ``remedy`` are for people, the message is for the log."""

    def __init__(self, text: str, cause: Words, remedy: Words) -> None:
        """Use ``text`` for the log, and the words for people."""
        super().__init__(text)
        self.cause = cause
        self.remedy = remedy


class ProfileFault(FaultToMend):
    """The profile cannot be used."""


@dataclass(frozen=True, slots=True)
class FoundProfile:
    """A profile that can be used.

    Attributes:
        profile: what it says.
        note: what was mended, or is better otherwise, for the log; None: nothing.
        mended: whether others could read it until now.
    """

    profile: Profile
    note: str | None = None
    mended: bool = False

    def tell(self) -> None:
        """Log the note: once, by whoever reads the file first."""
        if self.note:
            _log.log(logging.WARNING if self.mended else logging.INFO, "%s", self.note)


def read_profile(path: Path) -> FoundProfile:
    """Read the profile, and take it from everybody else's eyes.

    Raises:
        ProfileFault: it cannot be read, others can read it and that cannot be mended, or it is damaged.
    """
    try:
        data = read_record(path, PROFILE_MAX)
        note, mended = _close_to_others(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    return FoundProfile(parse(data, path), note, mended)


def parse(data: bytes, path: Path | str) -> Profile:
    """Return the profile in ``data``; raises ProfileFault, which names ``path``."""
    try:
        return parse_profile(data)
    except ProfileError as error:
        text = f"{path}: {error}"
        told = [_explained(problem) for problem in error.problems]
        zh, en = "；".join(each.zh for each in told), "; ".join(each.en for each in told)
        raise ProfileFault(
            text,
            Words(f"{path} 不是可用的身份文件：{zh}", f"{path} is no profile that can be used: {en}"),
            EXPORT_AGAIN,
        ) from error  # fmt: skip


def _explained(text: str) -> Words:
    from agent.words.causes import explain  # noqa: PLC0415  # a good start needs none of its texts

    return explain(text)


def _unreadable(path: Path, error: OSError) -> ProfileFault:
    reason = error.strerror or str(error)
    text = f"profile {path}: {reason}"
    if isinstance(error, FileNotFoundError):
        return ProfileFault(
            text, Words(f"没有身份文件 {path}", f"there is no profile {path}"), PUT_ONE
        )
    return ProfileFault(
        text,
        Words(
            f"身份文件 {path} 读不了：{_explained(reason).zh}",
            f"the profile {path} cannot be read: {reason}",
        ),
        Words(
            f"sudo chown {AGENT_USER} {path} && sudo chmod 0400 {path}；损坏的卡要更换",
            f"sudo chown {AGENT_USER} {path} && sudo chmod 0400 {path}; replace a card that is damaged",
        ),
    )


def _close_to_others(path: Path) -> tuple[str | None, bool]:
    """Take away what others may do with the file; return a note, and whether anything was taken.

    Raises:
        ProfileFault: others can read it, and it stays so.
    """
    mode = stat.S_IMODE(path.stat().st_mode)
    if not mode & FOREIGN:
        expected = mode in {MODE, MODE_BY_GROUP}
        note = f"profile {path}: mode {mode:04o}, expected 0400 or 0440"
        return (None if expected else note), False
    wanted = mode & ~FOREIGN
    reason = _change_mode(path, wanted)
    if reason is None:
        note = (
            f"profile {path}: got mode {mode:04o}, expected 0400: others could reach the token in it; "
            f"it is {wanted:04o} now"
        )
        return note, True
    raise ProfileFault(
        f"profile {path}: got mode {mode:04o}, expected 0400: others can reach the token in it ({reason})",
        Words(
            f"身份文件 {path} 的权限是 {mode:04o}：别的用户能读到里面的密钥（{_explained(reason).zh}）",
            f"the profile {path} has mode {mode:04o}: other users can reach the token in it ({reason})",
        ),
        Words(
            f"sudo chown {AGENT_USER} {path} && sudo chmod 0400 {path}",
            f"sudo chown {AGENT_USER} {path} && sudo chmod 0400 {path}",
        ),
    )


def _change_mode(path: Path, mode: int) -> str | None:
    """Change it; return why it is not changed, None if it is. A file system without modes says nothing."""
    try:
        path.chmod(mode)
        now = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        return error.strerror or str(error)
    return None if now == mode else "its file system has no modes"


@dataclass(frozen=True, slots=True)
class Owner:
    """Who is to own the profile."""

    user: int
    group: int
    name: str


def find_owner() -> Owner:
    """Return the agent's user where root asks and there is one; else whoever asks."""
    if os.geteuid() == 0:
        try:
            found = pwd.getpwnam(AGENT_USER)
            return Owner(found.pw_uid, found.pw_gid, AGENT_USER)
        except KeyError:
            pass
    user, group = os.geteuid(), os.getegid()
    return Owner(user, group, _user_name(user))


def _user_name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def group_name(group: int) -> str:
    """Return a group's name, its number if it has none."""
    try:
        return grp.getgrgid(group).gr_name
    except KeyError:
        return str(group)


def write_profile(path: Path, data: bytes, owner: Owner) -> None:
    """Put the profile there whole, with its owner and mode; raises OSError, and then nothing was changed."""
    make_folder(path.parent)
    own = None if owner.user == os.geteuid() else (owner.user, owner.group)
    write_atomically(path, data, mode=MODE, owner=own)
