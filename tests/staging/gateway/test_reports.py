"""What a report means: its effects in the order of its keys, or one reason why it is refused whole."""

from __future__ import annotations

import pytest

from staging.gateway.reports import KEY_LENGTH_LIMIT, KEYS_LIMIT, decide
from staging.store.effects import (
    AbilitiesSeen,
    BindTokenSeen,
    Heartbeat,
    OtaEventSeen,
    OtaStateSeen,
    RunningVersion,
    VoiceSeen,
)
from staging.store.history import HistoryPoint
from wire.errors import WireError
from wire.ota import OtaEvent, OtaEventReport, OtaState, state_report
from wire.voice import HeaderStyle, Segmenter

UUID = "0083000000000a"
BIND_TOKEN = "6dd5790b2163a0132e6c65c6dd6f9ef2"


def segment() -> dict[str, object]:
    return Segmenter(10000, 8000, HeaderStyle.LENGTH32).finish()[0].to_json()


def test_each_key_has_its_effect_in_its_order() -> None:
    event = OtaEventReport("7", OtaEvent.BEGIN)
    found = decide(
        UUID,
        {
            "volume": 7,
            "alive": True,
            "ota_event": event.to_json(),
            "ota_state": state_report("7", OtaState.INSTALLED),
            "package_info": {"os": {"version": "1.1.0"}},
            "device_info": {"uuid": UUID, "bindToken": BIND_TOKEN},
            "lamp": {"on": True},
        },
    )
    assert found == [
        HistoryPoint("volume", 7),
        Heartbeat(),
        OtaEventSeen(event),
        OtaStateSeen("7", OtaState.INSTALLED),
        RunningVersion("1.1.0"),
        BindTokenSeen(BIND_TOKEN),
        HistoryPoint("lamp", {"on": True}),
    ]


@pytest.mark.parametrize("key", ["voice_control", "duer_voice"])
def test_voice_of_either_firmware_stays_a_segment(key: str) -> None:
    (effect,) = decide(UUID, {key: segment()})
    assert isinstance(effect, VoiceSeen)
    assert (effect.key, effect.segment.id) == (key, 10000)


def test_firmware_of_2017_tells_nothing_of_itself() -> None:
    assert decide(UUID, {"device_info": {}}) == []


def test_what_a_device_reads_is_an_effect() -> None:
    told = {"device_info": {"uuid": UUID, "reads": ["deadline", "else"]}}
    assert decide(UUID, told) == [AbilitiesSeen(frozenset({"deadline", "else"}))]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"device_info": {"uuid": "f" * 14}}, "device_info.uuid: got"),
        ({"device_info": {"bindToken": "short"}}, "device_info.bindToken: got a str that is not"),
        ({"device_info": 5}, "device_info: got 5"),
        ({"device_info": {"reads": "deadline"}}, "device_info.reads: got"),
        ({"package_info": {"os": {"version": "newest"}}}, "package_info.os.version: got"),
        ({"": 1}, 'data: got ""'),
        ({"a\n": 1}, "data: got"),
        ({"a\u202e": 1}, "data: got"),
        ({"k" * (KEY_LENGTH_LIMIT + 1): 1}, "data: got"),
        ({f"k{n}": n for n in range(KEYS_LIMIT)}, f"got {KEYS_LIMIT + 1} keys, expected"),
    ],
)
def test_one_wrong_key_refuses_the_whole_report_by_name(
    data: dict[str, object], reason: str
) -> None:
    with pytest.raises(WireError) as caught:
        decide(UUID, {"volume": 7} | data)
    assert reason in str(caught.value)
