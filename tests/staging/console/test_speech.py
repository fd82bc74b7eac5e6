"""Utterances on the page: they arrive and play, and a part of their sound can be requested."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staging.console.speech import byte_range
from tests.staging.console.conftest import Stage
from tests.staging.console.page import Page


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
    line = device.get("[data-utterance]")
    device.see("[data-utterance] .when", "3.5 s")
    assert len(line.find_elements("css selector", "svg rect")) == 120
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
