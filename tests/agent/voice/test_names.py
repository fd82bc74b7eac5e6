"""The nearest titles are said by name, where they can be; in the machine's own voice, and silent when broken off."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from agent.voice.names import Names, said_as
from machine.errors import UnavailableError
from machine.speech_program import SpeechProgram, SpokenAs
from resources.announce.cues import Cue
from wire.answers import Title

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
LATIN_LIMIT = 40
SYLLABLES_LIMIT = 10

RABBIT, FROG = Title("小兔子乖乖", "xiao3 tu4 zi5 guai1 guai1"), Title("The frog king")


class Speech(SpeechProgram):
    """Writes the words themselves."""

    is_there = True

    def __init__(self) -> None:
        self.fault = ""

    async def speak(self, words: str, spoken_as: SpokenAs, path: Path) -> None:
        if self.fault:
            raise UnavailableError(self.fault)
        await asyncio.to_thread(path.write_text, f"{spoken_as.name}: {words}")


class Mouth:
    """Says at once, unless it is `held`; remembers what, and what the files held."""

    says_sentences = True

    def __init__(self) -> None:
        self.log: list[object] = []
        self.held = False

    def say(self, cue: Cue, then: Sequence[Cue | Path] = ()) -> asyncio.Future[bool]:
        self.log += [cue, *(p if isinstance(p, Cue) else p.read_text() for p in then)]
        said: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if not self.held:
            said.set_result(True)
        return said

    def hush(self) -> None:
        self.log.append("hush")

    def note_hand(self) -> None:
        self.log.append("hand")


async def test_of_two_titles_each_has_its_number() -> None:
    mouth = Mouth()
    assert await Names(mouth, Speech()).tell([RABBIT, FROG])
    assert mouth.log == [
        "hand", Cue.OFFER, Cue.FIRST, "PINYIN: xiao3 tu4 zi5 guai1 guai1", Cue.SECOND, "LATIN: The frog king",
    ]  # fmt: skip


async def test_a_single_title_needs_none() -> None:
    mouth = Mouth()
    assert await Names(mouth, Speech()).tell([RABBIT])
    assert mouth.log == ["hand", Cue.OFFER, "PINYIN: xiao3 tu4 zi5 guai1 guai1"]


@pytest.mark.parametrize(
    ("title", "said"),
    [
        (RABBIT, ("xiao3 tu4 zi5 guai1 guai1", SpokenAs.PINYIN)), (FROG, ("The frog king", SpokenAs.LATIN)),
        (Title("小兔子"), None), (Title("Die Bärin"), None), (Title("…"), None), (Title("--"), None),
        (Title("a" * 99), ("a" * LATIN_LIMIT, SpokenAs.LATIN)),
        (Title("啊" * 20, " ".join(["a1"] * 20)), (" ".join(["a1"] * SYLLABLES_LIMIT), SpokenAs.PINYIN)),
    ],
)  # fmt: skip
def test_how_a_title_is_said(title: Title, said: tuple[str, SpokenAs] | None) -> None:
    assert said_as(title) == said


def test_what_cannot_be_said_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    mouth, speech = Mouth(), Speech()
    names = Names(mouth, speech)
    assert names.can_tell([RABBIT, FROG])
    assert not names.can_tell([])
    assert not names.can_tell([RABBIT, Title("小兔子")])  # half an offer is none
    monkeypatch.setattr(Mouth, "says_sentences", False)
    assert not names.can_tell([RABBIT])
    monkeypatch.undo()
    monkeypatch.setattr(Speech, "is_there", False)
    assert not names.can_tell([RABBIT])


async def test_a_program_that_fails_leaves_the_prompt() -> None:
    mouth, speech = Mouth(), Speech()
    speech.fault = "espeak-ng: killed"
    assert not await Names(mouth, speech).tell([RABBIT])
    assert mouth.log == ["hand", Cue.NOT_FOUND]


async def test_who_breaks_it_off_hears_no_more_of_it() -> None:
    mouth = Mouth()
    mouth.held = True
    telling = asyncio.create_task(Names(mouth, Speech()).tell([RABBIT]))
    async with asyncio.timeout(30):
        while Cue.OFFER not in mouth.log:
            await asyncio.sleep(0.001)
    telling.cancel()
    await asyncio.wait([telling])
    assert mouth.log[-1] == "hush"
