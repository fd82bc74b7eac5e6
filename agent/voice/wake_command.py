"""``story-agent wake``: record, list, try and forget wake words (docs/wake.md)."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agent.exits import EX_CONFIG, EX_FAILED, EX_OK
from agent.settings import Settings, SettingsError, load_settings
from agent.voice import wake_texts as texts
from agent.voice.wake_card import Trial, find_stories, learn, near_points, with_stories
from agent.voice.wake_enrol import EnrolError, record_takes, syllables_of, warnings
from agent.voice.wake_record import LentMicrophone, read_files
from agent.words import say, spoken
from agent.words.causes import explain
from audio.embedding import Embedder, Missing, find_models
from audio.errors import AudioError, SpeexUnavailableError
from audio.wake_card import Card
from audio.wake_match import Matcher, Word
from audio.wake_take import TAKES_MAX, Take
from machine.errors import UnavailableError
from machine.wake_words import StoredWord, WakeWordError, WakeWords, check_name
from resources.announce.settings import Language

_ERRORS = (
    AudioError, SpeexUnavailableError, EnrolError, UnavailableError, WakeWordError, OSError,
)  # fmt: skip


class _Command:
    """One run of the command."""

    def __init__(self, options: argparse.Namespace, settings: Settings) -> None:
        self.options = options
        self.settings = settings
        self.words = WakeWords(options.state)
        self.language = Language(spoken())

    def name(self) -> str:
        if not self.options.name:
            raise WakeWordError(f"wake {self.options.action}: expected the name of a word")
        return check_name(self.options.name)

    def enrol(self) -> None:
        name, embedder = self.name(), load_embedder()
        syllables = syllables_of(name, self.options.pinyin)
        for line in warnings(name, syllables, self.language):
            print(line)
        microphone = self._microphone()
        try:
            word, card = self._record(name, syllables, microphone, embedder)
            # Stored before the stories are played, which may take long: a word without hours is not used.
            self.words.save(StoredWord(word, card))
            self._play_stories(StoredWord(word, card), embedder)
        finally:
            on = microphone.give_back()
        if not on:
            print(texts.OFF[self.language])

    def _record(
        self, name: str, syllables: Sequence[str], microphone: LentMicrophone, embedder: Embedder
    ) -> tuple[Word, Card]:
        """Record the word; more takes than were asked for, where these do not hear each other."""
        record = self._recorder(microphone)

        def take(count: int, before: Sequence[Take] = ()) -> list[Take]:
            return record_takes(name, count, record, embedder, print, self.language, before)

        takes = take(self.options.takes)
        near = near_points(embedder, syllables)
        word, card = learn(name, takes, near, embedder)
        while not (card.recalls or len(takes) == TAKES_MAX or self.options.wav):
            told = texts.MORE[self.language]
            print(told.format(recalled=card.recalled, spoken=card.spoken))
            try:
                takes = take(len(takes) + 1, takes)
            except EnrolError as error:  # the family has gone: what there is says what it is worth
                print(error)
                break
            word, card = learn(name, takes, near, embedder)
        return word, card

    def _recorder(self, microphone: LentMicrophone) -> Callable[[], bytes]:
        if self.options.wav:
            sounds = read_files(self.options.wav)
            return lambda: next(sounds, b"")
        return microphone.record

    def _microphone(self) -> LentMicrophone:
        return LentMicrophone(self.settings, self.options.state, self.language)

    def card(self) -> None:
        stored = self.words.find(self.name())
        self._play_stories(stored, load_embedder())
        self._microphone().give_back()

    def _play_stories(self, stored: StoredWord, embedder: Embedder) -> None:
        """Play the box's stories to a word, and store the card that comes of it."""
        if stored.card is None:
            raise WakeWordError(f"{stored.word.name}: record it again")
        name, language = stored.word.name, self.language
        folder = self.options.state / self.settings.play.media_folder
        files = find_stories(folder)
        if not files:
            print(texts.NO_STORIES[language].format(folder=folder, name=name))
            return
        card = with_stories(
            stored.card, Trial(embedder, stored.word), files, self.options.hours, self._tell, "the box's stories"
        )  # fmt: skip
        made = StoredWord(stored.word, card)
        self.words.save(made)
        doubts = texts.doubts_of(card, language)
        text = texts.UNUSED if doubts else texts.USED
        print(text[language].format(name=name, doubts=doubts))

    def _tell(self, hours: float, hits: int) -> None:
        print(texts.PLAYED[self.language].format(hours=hours, hits=hits), file=sys.stderr)

    def list(self) -> None:
        stored, faults = self.words.read_all()
        if self.options.json:
            told = {each.word.name: describe(each) for each in stored}
            told |= {name: {"used": False, "doubts": [why]} for name, why in faults.items()}
            print(json.dumps(told, ensure_ascii=False))
            return
        if not stored and not faults:
            print(texts.NO_WORDS[self.language])
        doubts = {each.word.name: texts.doubts_of(each.card, self.language) for each in stored}
        for name, why in (doubts | faults).items():
            print(f"{name}: {why or texts.LISTENED[self.language]}")

    def test(self) -> None:
        """Play WAV files to all words, and print what each is heard as."""
        if not self.options.wav:
            raise WakeWordError("wake test: expected --wav and one or more WAV files")
        embedder = load_embedder()
        stored, _faults = self.words.read_all()
        for path, sound in zip(self.options.wav, read_files(self.options.wav), strict=False):
            embedder.reset()
            matcher = Matcher([each.word for each in stored])
            found = [f for point in embedder.add(sound) if (f := matcher.step(point)) is not None]
            for each in found:
                text = (texts.HEARD if each.hit else texts.NEAR)[self.language]
                print(text.format(path=path, word=each.word, share=each.share))
            if not found:
                print(texts.NOTHING[self.language].format(path=path))

    def forget(self) -> None:
        self.words.forget(self.name())
        self._microphone().give_back()


def describe(stored: StoredWord) -> Mapping[str, Any]:
    """Return a word for people and programs: whether it is used, why not, and its card."""
    card = stored.card
    told: dict[str, Any] = {"used": not stored.doubts(), "doubts": stored.doubts()}
    if card is not None:
        told |= {
            "recalled": f"{card.recalled} / {card.spoken}", "hours": card.hours,
            "false_alarms": card.false_alarms, "near_share": round(card.near_share, 3),
            "near": card.near, "corpus": card.corpus, "made": card.made,
        }  # fmt: skip
    return told


def load_embedder() -> Embedder:
    """Return the models; raises AudioError without the extra."""
    folder = find_models()
    if isinstance(folder, Missing):
        raise AudioError(folder.reason)
    return Embedder(folder)


def run_wake(options: argparse.Namespace) -> int:
    """Run ``story-agent wake ACTION``; return the exit code."""
    try:
        command = _Command(options, load_settings(options.config))
    except SettingsError as error:
        return _fail(str(error), EX_CONFIG)
    actions: Mapping[str, Callable[[], None]] = {
        "enrol": command.enrol, "card": command.card, "list": command.list, "test": command.test,
        "forget": command.forget,
    }  # fmt: skip
    try:
        actions[options.action]()
    except BrokenPipeError:
        raise  # nobody reads what is printed: `base.printing`
    except _ERRORS as error:
        return _fail(str(error), EX_FAILED)
    return EX_OK


def _fail(text: str, code: int) -> int:
    print(f"story-agent: {say(explain(text))}", file=sys.stderr)
    return code
