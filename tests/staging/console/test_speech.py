"""Utterances on the page: they arrive and play, and a part of their sound can be requested."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staging.console.speech import byte_range
from tests.staging.console.conftest import Ask, Stage
from tests.staging.console.page import Page
from tests.staging.console.speaker import SpeakerThread


@given(st.integers(1, 10_000), st.integers(0, 10_000), st.integers(0, 10_000))
def test_ranges_lie_within_the_file(size: int, first: int, last: int) -> None:
    try:
        found = byte_range(f"bytes={first}-{last}", size)
    except ValueError:
        assert first >= size or last < first
        return
    assert found == (first, min(last, size - 1))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-", (0, 99)),
        ("bytes=-10", (90, 99)),
        ("bytes=-1000", (0, 99)),
        ("bytes=0-1,5-6", None),
        ("lines=1-2", None),
        ("bytes=x-2", None),
        ("bytes=-", None),
    ],
)
def test_range_forms(header: str | None, expected: tuple[int, int] | None) -> None:
    assert byte_range(header, 100) == expected


def test_an_utterance_arrives_and_plays_in_the_page(device: Page, stage: Stage) -> None:
    stage.agent("say", "tools/utterance.wav")
    device.see("[data-utterance] .when", "3.5 s")
    device.wait(lambda: len(device.all("[data-utterance]:first-child svg rect")) == 120)
    device.see(".log [data-key=voice_control]", "utterance")
    # Its samples, decoded by the browser, are loud; a range request gets a range.
    heard = device.browser.execute_async_script(
        """const done = arguments[0];
        (async () => {
          const list = await (await fetch(location.pathname.replace('/console/', '/console/api/') + '/utterances')).json();
          const u = list.utterances[0];
          const url = `${location.pathname.replace('/console/', '/console/api/')}/utterances/${u.start}-${u.id}.wav`;
          const part = await fetch(url, {headers: {Range: 'bytes=0-3'}});
          const bytes = await (await fetch(url)).arrayBuffer();
          const sound = await new OfflineAudioContext(1, 8000, 8000).decodeAudioData(bytes);
          const samples = sound.getChannelData(0);
          done({seconds: sound.duration, peak: samples.reduce((a, b) => Math.max(a, Math.abs(b)), 0),
                status: part.status, head: new TextDecoder().decode(await part.arrayBuffer())});
        })();"""
    )
    assert abs(heard["seconds"] - 3.5) < 0.05
    assert heard["peak"] > 0.1
    assert (heard["status"], heard["head"]) == (206, "RIFF")
    device.click("[data-utterance] button")
    device.get("[data-utterance] button[aria-label^=Pause]")
    device.wait(lambda: device.all("[data-utterance] rect.done"), "the waveform to fill")
    device.click("[data-utterance] button")
    device.get("[data-utterance] button[aria-label^=Play]")
    assert device.errors() == []


def test_an_utterances_stages_are_shown_as_they_come(device: Page, stage: Stage) -> None:
    stage.agent("say", "tools/utterance.wav")
    newest = "[data-utterance]:first-child"
    device.see(f"{newest} [data-stage=eof]", "End at the cloud")
    device.type("[data-part=heard] input[name=sentence]", "音量调到4", enter=True)
    device.see(f"{newest} [data-stage=done]", "Done")
    shown = [line.get_attribute("data-stage") for line in device.all(f"{newest} .stages li")]
    assert shown == ["first_segment", "eof", "recognised", "ordered", "done"]
    assert device.errors() == []


def test_the_console_opens_the_microphone_of_a_machine_that_allows_it(
    device: Page, stage: Stage
) -> None:
    stage.agent("set", "microphone", "false")
    device.click("[data-part=speech] [data-action=listen]")
    device.see("[data-part=speech] [role=status]", "4.03")
    device.see("[data-part=speech] [role=status]", "muted")
    stage.agent("set", "microphone", "true")
    device.click("[data-part=speech] [data-action=cancel]")
    device.see("[data-part=speech] [role=status]", "It does not listen")
    assert device.errors() == []


def test_the_wish_to_listen_is_the_owners_and_one_of_two(ask: Ask, stage: Stage) -> None:
    path = f"/devices/{stage.uuid}/listen"
    answer = ask(path, {"action": "please"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "refused")
    assert "expected start or cancel" in answer.json()["error"]["message"]
    assert ask(path, {}).status_code == 400
    other = stage.cloud("device", "add")
    answer = ask(f"/devices/{other['uuid']}/listen", {"action": "start"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "1212")


def test_a_machine_that_does_not_allow_it_has_no_such_button(
    shown: Page, speaker: SpeakerThread, ask: Ask
) -> None:
    assert not [button for button in shown.all("[data-action=listen]") if button.is_displayed()]
    answer = ask(f"/devices/{speaker.uuid}/listen", {"action": "start"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not_supported")
    assert "voice.remote_listen" in answer.json()["error"]["message"]
