"""A profile that still lies on the boot partition: the import at the start has not taken or not erased it; why, for people.

The import itself has nobody to tell: it runs before anybody can log in. So `status` and `doctor` look at what it left.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agent.first.places import BOOT_FOLDERS, PlaceError, find_on_boot, names_in
from agent.first.profile_file import EXPORT_AGAIN, NO_PROFILE, PROFILE_MAX, ProfileFault, parse
from agent.words import Words
from agent.words.causes import explain_error
from base.files import read_record

_AGAIN = Words(
    "重新开机，或 sudo story-agent provision --boot",
    "start the machine anew, or sudo story-agent provision --boot",
)


def left_over(
    uuid: str | None, folders: Sequence[Path] = BOOT_FOLDERS
) -> tuple[Words, Words] | None:
    """Return cause and remedy if a profile lies on the boot partition; None: none does.

    Args:
        uuid: of the profile that the machine has, None if it has none.
        folders: where the boot partition may be.
    """
    if not any(names_in(folder) for folder in folders):
        return None
    try:
        path = find_on_boot(folders)
        profile = parse(read_record(path, PROFILE_MAX).removeprefix(b"\xef\xbb\xbf"), path)
    except (PlaceError, ProfileFault) as fault:
        return _told(fault.cause), fault.remedy
    except OSError as error:
        return _told(explain_error(error)), EXPORT_AGAIN if error.errno in NO_PROFILE else _AGAIN
    if uuid is None:
        return _told(Words(str(path), str(path))), _AGAIN
    if profile.uuid.lower() != uuid.lower():
        other = Words(
            f"{path} 是另一台设备 {profile.uuid} 的", f"{path} is another device's, {profile.uuid}"
        )
        replace = Words(
            "删掉它；确实要换身份就 sudo story-agent provision --boot --replace",
            "remove it; sudo story-agent provision --boot --replace if this machine is to be that device",
        )
        return _told(other), replace
    return (
        Words(f"{path} 还在启动分区上，里面有密钥", f"{path} is still on the boot partition, and holds the token"),
        Words(f"sudo rm {path}", f"sudo rm {path}"),
    )  # fmt: skip


def _told(why: Words) -> Words:
    return Words(
        f"启动分区上的身份文件没有被采用：{why.zh}",
        f"the profile on the boot partition was not taken: {why.en}",
    )
