"""Echo cancellation as pactl's output has it."""

from __future__ import annotations

import pytest

from agent.doctor.echo import LOAD, NO_ZEROS, SOURCE, Echo, find_echo

OURS = " ".join(LOAD[1:])
OTHERS = "6\tmodule-null-sink\tsink_name=bench\t\n"


def modules(words: str) -> str:
    return f"{OTHERS}7\tmodule-echo-cancel\t{words}\t\n"


def test_none_is_found() -> None:
    assert find_echo(OTHERS, "0\tmic.monitor\tmodule-null-sink.c\n") == Echo(False)
    assert find_echo("", "") == Echo(False)


def test_ours_is_found_and_its_use_is_judged() -> None:
    echo = find_echo(modules(OURS), "")
    assert echo == Echo(True)
    assert echo.unused("story_mic", "story_out") == []
    assert echo.unused("mic", "story_out") == ["mic ≠ story_mic"]
    assert echo.unused("story_mic", "") == ["no sink ≠ story_out"]


def test_what_an_other_one_lacks_is_named() -> None:
    echo = find_echo(modules("source_name=ec sink_name=out aec_method=webrtc"), "")
    assert echo == Echo(
        True, ("analog_gain_control=0", "digital_gain_control=0"), "ec", "out", makes_zeros=True
    )  # fmt: skip
    assert find_echo(modules(""), "").missing == (
        "aec_method=webrtc", "analog_gain_control=0", "digital_gain_control=0",
    )  # fmt: skip


def test_noise_suppression_is_known_by_its_argument() -> None:
    plain = OURS.replace(f" {NO_ZEROS}", "")
    assert find_echo(modules(plain), "") == Echo(True, makes_zeros=True)


@pytest.mark.parametrize("off", ["0", "no", "false", "off", "False", "N"])
def test_what_pulseaudio_takes_for_no_is_no(off: str) -> None:
    gains = f"analog_gain_control={off} digital_gain_control={off} noise_suppression={off}"
    for quote in ('"', "'"):
        named = f"aec_args={quote}{gains}{quote} aec_method=webrtc source_name={SOURCE}"
        assert find_echo(modules(named), "") == Echo(True)


@pytest.mark.parametrize("on", ["1", "yes", "true", "on", "", "00"])
def test_what_is_no_no_is_missing(on: str) -> None:
    found = find_echo(
        modules(OURS.replace("analog_gain_control=0", f"analog_gain_control={on}")), ""
    )
    assert found.missing == ("analog_gain_control=0",)


def test_what_is_quoted_wrongly_is_read_as_far_as_it_goes() -> None:
    assert find_echo(modules('aec_method=webrtc aec_args="analog_gain_control=0'), "").missing == (
        "analog_gain_control=0", "digital_gain_control=0",
    )  # fmt: skip


def test_pipewires_is_known_by_its_name() -> None:
    assert find_echo("", "41\tstory_mic\tPipeWire\tfloat32le 2ch\tSUSPENDED\n") == Echo(True)
