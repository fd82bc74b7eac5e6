"""What a report means: its effects in the order of its keys, or one reason why it is refused whole."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from staging.gateway.reports import decide
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
from staging.store.stored_json import readable
from wire.errors import WireError
from wire.numbered import parse_reports
from wire.ota import OtaEvent, OtaEventReport, OtaState, state_report
from wire.voice import HeaderStyle, Segmenter, VoiceSegment, pack_frame

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
KEY_LENGTH_LIMIT = 64
KEYS_LIMIT = 64
SEGMENT_FRAMES_LIMIT = 50

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


TYPES = {"power": "int", "switch": "bool", "play": "string"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"power": "much"}, "power: got .*, expected an integer"),
        ({"power": "75 %"}, "power: got .*, expected an integer"),
        ({"power": "7" * 400}, "power: got .*, expected an integer"),
        ({"power": 7.5}, "power: got 7.5, expected an integer"),
        ({"power": True}, "power: got true, expected an integer"),
        ({"power": {"a": 1}}, "power: got .*, expected an integer"),
        ({"switch": "on"}, "switch: got .*, expected true or false"),
        ({"note": "x" * 40_000}, "note: got 40.* bytes, expected at most 32768"),
        ({"note": ["x" * 1000] * 40}, "note: got 4.* bytes, expected at most 32768"),
    ],
)
def test_values_fit_their_data_point(data: dict[str, object], said: str) -> None:
    with pytest.raises(WireError, match=said):
        decide(UUID, data, TYPES)


@pytest.mark.parametrize(
    "data",
    [
        {"power": 75}, {"power": None}, {"switch": True}, {"switch": 0}, {"play": "x"},
        {"play": {"title": "x"}}, {"unknown": 1.5}, {"power": -(2**63)},
    ],
)  # fmt: skip
def test_what_fits_is_kept(data: dict[str, object]) -> None:
    [(key, value)] = data.items()
    assert decide(UUID, data, TYPES) == [HistoryPoint(key, value)]


def report_of(text: str) -> Mapping[str, object]:
    return parse_reports(text.encode()).reports[0].data


@pytest.mark.parametrize(
    "number", ["9" * 400, str(2**63), str(-(2**63) - 1), "1e999", "-1e999", "NaN"]
)
def test_numbers_have_64_bits(number: str) -> None:
    for value in (number, f"[{number}]", f'{{"a": [{number}]}}'):
        with pytest.raises(WireError, match=r"not usable JSON|power: got .* at most 64 bits"):
            decide(UUID, report_of(f'{{"data": {{"power": {value}}}}}'))


@pytest.mark.parametrize("frames", [SEGMENT_FRAMES_LIMIT + 1, 7000])
def test_a_segment_of_many_frames_is_refused(frames: int) -> None:
    data = pack_frame(b"x", HeaderStyle.LENGTH32, 8000) * frames
    value = VoiceSegment(10000, 0, 8000, eof=False, voice_data=data).to_json()
    with pytest.raises(WireError, match=r"voice\.voice_data: got .* expected at most"):
        decide(UUID, {"voice_control": value})


@given(st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
))  # fmt: skip
@settings(max_examples=50)
def test_what_is_let_in_can_be_stored_and_read(value: object) -> None:
    text = json.dumps({"data": {"note": value}})
    try:
        [report] = parse_reports(text.encode()).reports
        [effect] = decide(UUID, report.data)
    except WireError:
        return
    assert isinstance(effect, HistoryPoint)
    assert readable(effect.value) == effect.value


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ({"power": "75"}, 75), ({"power": "-1"}, -1), ({"switch": "true"}, True), ({"switch": "0"}, False),
        ({"play": "75"}, "75"), ({"unknown": "75"}, "75"),
    ],
)  # fmt: skip
def test_a_number_or_switch_that_is_told_as_a_text_is_taken_as_what_it_is(
    told: dict[str, object], kept: object
) -> None:
    """Firmware does so; it was in the history as a text, and refused once types were looked at."""
    (effect,) = decide(UUID, told, TYPES)
    assert isinstance(effect, HistoryPoint)
    assert effect.value == kept
    assert type(effect.value) is type(kept)
