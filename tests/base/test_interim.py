"""Answers that come before the answer are passed over, whatever they are, and not without end (RFC 9110, 15.2)."""

from __future__ import annotations

import http.client
import io
from socket import socket
from typing import cast

import pytest

from base.interim import FinalResponse

# As docs/numbers.md has it.
INTERIM_LIMIT = 20
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 7\r\n\r\n"
FINAL = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsound"


class Said:
    """A socket on which a server has said all already."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self.data)


def answered(data: bytes) -> FinalResponse:
    response = FinalResponse(cast("socket", Said(data)), method="GET")
    response.begin()
    return response


@pytest.mark.parametrize(
    "before",
    [
        b"", HINTS, b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 102 Processing\r\n\r\n" + HINTS,
        b"HTTP/1.1 199 Anything\r\n\r\n", HINTS * INTERIM_LIMIT,
    ],
)  # fmt: skip
def test_the_answer_is_the_one_behind_them(before: bytes) -> None:
    response = answered(before + FINAL)
    assert (response.status, response.getheader("Link")) == (200, None)
    assert response.read() == b"sound"


def test_there_is_an_end_of_them() -> None:
    with pytest.raises(http.client.HTTPException, match="more than 20 interim answers"):
        answered(HINTS * (INTERIM_LIMIT + 1) + FINAL)


def test_the_switch_to_a_protocol_that_nobody_offered_is_the_answer() -> None:
    assert answered(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + FINAL).status == 101


def test_an_end_instead_of_the_answer_is_one() -> None:
    with pytest.raises(http.client.RemoteDisconnected):
        answered(HINTS)
