"""What the import at the start left on the boot partition, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.first.left_over import left_over
from tests.agent.first.parts import UUID, profile_bytes

NAME = "story-agent.profile"
OTHER = "ffffffffffffff"


def test_an_empty_partition_and_none_say_nothing(tmp_path: Path) -> None:
    assert left_over(None, [tmp_path, tmp_path / "missing"]) is None


@pytest.mark.parametrize(
    ("files", "uuid", "zh", "en", "remedy"),
    [
        ({NAME: profile_bytes()}, None, "没有被采用", "was not taken", "provision --boot"),
        ({NAME: profile_bytes()}, OTHER, f"另一台设备 {UUID}", f"another device's, {UUID}", "--replace"),
        ({NAME: profile_bytes()}, UUID.upper(), "里面有密钥", "holds the token", "rm "),
        ({f"{NAME}.TXT": b"\xef\xbb\xbf" + profile_bytes()}, UUID, "里面有密钥", "holds the token", "rm "),
        ({NAME: b"{}"}, None, "缺少 uuid", "uuid: missing", "provision"),
        ({NAME: b""}, UUID, "没有被采用", "was not taken", "provision"),
        ({NAME: b" " * 70_000}, None, "超过 65536 字节", "more than 65536 bytes", "export"),
        ({NAME: profile_bytes(), f"{NAME}.json": profile_bytes()}, None, "2 个身份文件", "2 profiles", "only the one"),
    ],
)  # fmt: skip
def test_what_is_left_has_cause_and_remedy(
    tmp_path: Path, files: dict[str, bytes], uuid: str | None, zh: str, en: str, remedy: str
) -> None:
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    told = left_over(uuid, [tmp_path])
    assert told is not None
    assert zh in told[0].zh
    assert en in told[0].en
    assert remedy in told[1].en
