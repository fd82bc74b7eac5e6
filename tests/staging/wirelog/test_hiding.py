"""No secret is in what is kept, wherever it stands; and nothing else is hidden."""

from __future__ import annotations

import aiocoap
import pytest
from aiocoap.numbers.types import Type
from hypothesis import given
from hypothesis import strategies as st

from staging.wirelog.coap_view import describe
from staging.wirelog.hiding import Hider
from tests.staging.wirelog.test_frames import packet
from tests.staging.wirelog.test_mqtt_view import CONNECT
from wire.framing import encode_frame
from wire.reports import Credentials, DeviceInfo, registration_payload, report_payload, report_query

UUID, TOKEN, BIND = "0083000000000a", "a1" * 16, "b2" * 16


def frame(payload: bytes, path: tuple[str, ...] = ("p",), query: tuple[str, ...] = ()) -> bytes:
    message = aiocoap.Message(
        code=aiocoap.POST, payload=payload, uri_path=path, uri_query=query, _mtype=Type.CON, _mid=1
    )
    message.token = b""
    return encode_frame(message.encode())


def hidden(data: bytes, *known: str) -> bytes:
    kept, is_hidden = Hider(known).coap(data)
    assert len(kept) == len(data)
    assert is_hidden is (kept != data)
    return kept


def test_what_a_device_sends_has_no_secret_also_if_none_is_known() -> None:
    told = Credentials(UUID, TOKEN)
    info = DeviceInfo(UUID, BIND, "1", "wifi", "m", "i", "s", "h")
    for data in (
        frame(registration_payload(told)),
        frame(report_payload({"device_info": info.to_json()}), query=report_query(told)),
        frame(b'{"nested":"{\\"token\\":\\"' + TOKEN.encode() + b'\\"}"}'),
        frame(
            b'{"url":"https://story:' + TOKEN.encode() + b"@host/x?token=" + TOKEN.encode() + b'"}'
        ),
        frame(b'{"wifiPassword": "' + TOKEN.encode() + b'"}'),
    ):
        kept = hidden(data)
        assert TOKEN.encode() not in kept
        assert BIND.encode() not in kept
        assert describe(kept).get("problem") is None


def test_known_secrets_are_hidden_in_any_place_and_case() -> None:
    data = frame(b"log: " + TOKEN.upper().encode() + b" and " + BIND.encode())
    kept = hidden(data, TOKEN, BIND)
    assert kept.count(b"*" * 32) == 2


@pytest.mark.parametrize("cut", [6, 10, 31])
def test_a_border_of_a_block_cuts_a_secret_and_shows_neither_part(cut: int) -> None:
    first, second = frame(b"x" * 20 + BIND[:cut].encode()), frame(BIND[cut:].encode() + b"y" * 20)
    assert hidden(first, BIND).endswith(b"*" * cut)
    if 32 - cut >= 6:
        assert b"*" * (32 - cut) + b"y" * 20 in hidden(second, BIND)


def test_a_connects_password_is_hidden_and_the_rest_stays() -> None:
    kept, is_hidden = Hider().mqtt(CONNECT)
    assert is_hidden
    assert kept == CONNECT.replace(b"secret", b"******")
    publish = packet(0x30, b"\0\x01t\0" + registration_payload(Credentials(UUID, TOKEN)))
    assert TOKEN.encode() not in Hider().mqtt(publish)[0]


@pytest.mark.parametrize(
    "payload",
    [
        b'{"data":{"alive":0}}',
        b'{"ota":{"signature":"' + b"c3" * 16 + b'"}}',
        b'{"title":"token=1"}'[:10],
        b"",
    ],
)
def test_nothing_else_is_hidden(payload: bytes) -> None:
    data = frame(payload, query=("deviceUuid=" + UUID,))
    assert hidden(data, TOKEN) == data


@given(st.binary(max_size=300))
def test_any_bytes_keep_their_length(data: bytes) -> None:
    for kept, is_hidden in (Hider([TOKEN]).coap(data), Hider([TOKEN]).mqtt(data)):
        assert len(kept) == len(data)
        assert is_hidden is (kept != data)
