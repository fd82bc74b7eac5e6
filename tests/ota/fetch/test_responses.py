"""What a response means for the bytes on disk."""

from __future__ import annotations

import pytest

from ota.errors import ContentError, FetchError, NoDeltaError
from ota.fetch.responses import BodyUse, check_range, interpret


@pytest.mark.parametrize(
    ("code", "here", "content_range", "content_length", "use"),
    [
        (200, 0, None, "1000", BodyUse.WHOLE),
        (200, 0, None, None, BodyUse.WHOLE),
        (200, 10, None, "1000", BodyUse.WHOLE),
        (206, 10, "bytes 10-999/1000", "990", BodyUse.APPEND),
        (206, 10, "bytes 11-999/1000", "989", BodyUse.ASK_AGAIN),
        (206, 10, "bytes 10-500/1000", "491", BodyUse.APPEND),
        (206, 10, "bytes 10-1000/1000", "991", BodyUse.ASK_AGAIN),
        (206, 10, "bytes 10-9/1000", "0", BodyUse.ASK_AGAIN),
        (206, 10, None, "990", BodyUse.ASK_AGAIN),
        (416, 10, "bytes */1000", "0", BodyUse.ASK_AGAIN),
    ],
)
def test_what_a_response_means(
    code: int, here: int, content_range: str | None, content_length: str | None, use: BodyUse
) -> None:
    assert interpret(code, content_range, content_length, here, 1000) is use


@pytest.mark.parametrize(
    ("code", "content_range", "error", "match"),
    [
        (206, "bytes 10-19/99", ContentError, "has 99 bytes, 100 are signed"),
        (206, "bytes 10-18/100", NoDeltaError, "does not keep to ranges"),
        (206, None, NoDeltaError, "does not keep to ranges"),
        (200, None, NoDeltaError, "HTTP 200"),
        (416, "bytes */100", NoDeltaError, "HTTP 416"),
        (503, None, FetchError, "HTTP 503"),
        (404, None, ContentError, "HTTP 404"),
    ],
)
def test_a_range_is_the_requested_one_or_refused(
    code: int, content_range: str | None, error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        check_range(code, content_range, 10, 19, 100)
    check_range(206, "bytes 10-19/100", 10, 19, 100)
