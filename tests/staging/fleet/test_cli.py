"""What ``story-fleet`` says to a wrong command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from staging.fleet import cli


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("--devices", value) for value in ("0", "-5", "x", "1e3", "1000001", "²")),
        *(("--rate", value) for value in ("0", "-1", "nan", "inf", "x")),
        *(("--hold", value) for value in ("0", "nan", "-inf")),
        *(("--report-every", value) for value in ("0", "nan")),
        ("--controls", "-1"),
        ("--link", "udp"),
    ],
)
def test_a_wrong_number_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, option: str, value: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--data", str(tmp_path), f"{option}={value}"])
    assert ended.value.code == 2
    assert f"argument {option}: " in capsys.readouterr().err


def test_a_folder_without_a_cloud_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli.main(["--data", str(tmp_path)]) == 1
    assert "no story-cloud serve runs on it" in capsys.readouterr().err


def test_ctrl_c_ends_with_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_options: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", interrupt)
    assert cli.main(["--data", str(tmp_path)]) == cli.BROKEN_OFF
    assert capsys.readouterr().err == "\nstory-fleet: broken off\n"
