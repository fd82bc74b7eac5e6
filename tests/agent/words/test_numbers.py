"""Numbers of a command line."""

from __future__ import annotations

import pytest

from agent.cli import main


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["provision", "--lang", "en", "--wait", "soon"], "--wait: got 'soon', expected 0 to 3600 seconds"),
        (["selftest", "--lang", "zh", "--button-seconds", "-1"], "--button-seconds：得到 '-1'，应为 0 到 3600 秒"),
        (["status", "--lang", "en", "--interval", "nan"], "--interval: got 'nan', expected 0.1 to 3600 seconds"),
        (["wake", "test", "--lang", "zh", "--hours", "1e3"], "--hours：得到 '1e3'，应为 0.001 到 168 小时"),
        (["bench-helper", "--lang", "en", "--token-file", "x", "--port", "99999"], "--port: got '99999', expected a port from 0 to 65535"),
    ],
)  # fmt: skip
def test_what_was_expected_is_told(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
