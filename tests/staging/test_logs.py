from __future__ import annotations

import logging
import sys

import pytest

from staging.logs import SecretFormatter, hide_secrets

SECRET = "6dd5790b2163a0132e6c65c6dd6f9ef2"


@pytest.mark.parametrize(
    "text",
    [
        f"POST /v1/device/data?deviceUuid=0083000000000a&token={SECRET}",
        f'{{"deviceUUID": "00", "token": "{SECRET}"}}',
        f"{{'bindToken': '{SECRET}', 'x': 1}}",
        f'{{"bindToken":"{SECRET}"}}',
        f"X-IOT-Token: {SECRET}",
        f"X-IOT-Signature: abcdefghijklmnop:{SECRET}",
        f"access_token={SECRET}&state=1",
        f"Credentials(uuid='00', token={SECRET!r})",
        f"payload=b'token={SECRET}'",
    ],
)
def test_secrets_are_hidden_however_they_are_written(text: str) -> None:
    hidden = hide_secrets(text)
    assert SECRET not in hidden
    assert "***" in hidden


def test_everything_else_stays() -> None:
    text = "device 0083000000000a: report with other credentials, tokens=3, a token was wrong"
    assert hide_secrets(text) == text


def test_arguments_and_tracebacks_are_covered_too() -> None:
    try:
        raise ValueError(f"bindToken={SECRET}")
    except ValueError:
        info = sys.exc_info()
    record = logging.LogRecord("x", logging.INFO, "x", 1, "got %s", (f"token={SECRET}",), info)
    text = SecretFormatter("%(message)s").format(record)
    assert text.startswith("got token=***")
    assert "ValueError: bindToken=***" in text
    assert SECRET not in text
