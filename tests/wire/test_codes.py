"""Response codes, in the open API's notation and as HTTP statuses."""

from __future__ import annotations

import pytest

from wire.codes import Code, dotted


@pytest.mark.parametrize(
    ("code", "text", "http"),
    [
        (Code.CONTENT, "2.05", 200),
        (Code.CHANGED, "2.04", 200),
        (Code.CREATED, "2.01", 201),
        (Code.BAD_REQUEST, "4.00", 400),
        (Code.NOT_FOUND, "4.04", 404),
        (Code.METHOD_NOT_ALLOWED, "4.05", 405),
        (Code.TOO_LARGE, "4.13", 413),
        (Code.INTERNAL_SERVER_ERROR, "5.00", 500),
        (Code.SERVICE_UNAVAILABLE, "5.03", 503),
    ],
)
def test_a_code_in_both_tongues(code: Code, text: str, http: int) -> None:
    assert code.dotted == text
    assert code.http_status == http
    assert code.is_success == (http < 300)


def test_every_code_has_an_http_status() -> None:
    assert all(200 <= code.http_status < 600 for code in Code)


def test_any_code_byte_can_be_written() -> None:
    assert (dotted(0x9D), dotted(0xFF)) == ("4.29", "7.31")
