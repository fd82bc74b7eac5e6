"""``story-cloud`` as people and scripts run it: one line for a mistake, and the default folder.

Tests staging.commands.common and staging.commands.exits too.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from staging.commands import cli
from tests.staging.commands.conftest import Cloud, run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("device", "add", "--uuid", "xyz"), 'uuid: got "xyz", expected 14 hexadecimal digits'),
        (("device", "profile", "f" * 14), f"device {'f' * 14}: there is none"),
        (("token", "--app", "99", "--user", "u"), "app 99: there is none"),
        (("app", "add", "a", "--type", "ios"), "--bundle-id missing"),
        (("app", "add", "a", "--type", "android"), "--package and --apk-signature missing"),
        (("release", "add", "none.tar", "--version", "9.0"), "there is no such file"),
        (("release", "add", "none.tar", "--version", "x"), 'version: got "x"'),
        (("strategy", "add", "--version", "9.9"), "version 9.9: there is no package"),
        (("strategy", "publish", "99"), "strategy 99: there is none"),
    ],
)
def test_mistakes_are_one_line(
    cloud: Cloud, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*words, "--data", str(cloud.data), "--json"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("story-cloud: ")
    assert said in printed.err
    assert printed.err.count("\n") == 1


def test_default_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    run("device", "add")
    assert (tmp_path / "story-cloud" / "cloud.sqlite").exists()
    assert (tmp_path / "story-cloud").stat().st_mode & 0o777 == 0o700
