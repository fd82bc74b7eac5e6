"""Whisper as recognition's speech model: several texts of a sound, and the likelihood of given ones.

Whisper pads every sound to 30 s; here it is shown the sound and a second of silence only, which is
ten times as fast and hears short words better (measured in docs/recognition.md). A phrase's score is
its probability for this sound compared with that for silence: what the language model would say
anyway counts nothing, and a short word is not drowned by a long one that Whisper likes to write.

It looks at each sound in three ways: as it is, without its steady noise (`staging.recognition.clean`), and with the
voice brought down from a child's to an adult's (`staging.recognition.spectrum`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from audio.pcm import Pcm
from audio.resample import resample
from staging.recognition.clean import cleaned
from staging.recognition.decoder import Decoder, Memory, Tree, read_weights
from staging.recognition.hearing import HYPOTHESES_MAX, Hearing, Hypothesis
from staging.recognition.model import join_model
from staging.recognition.spectrum import FRAMES_PER_SECOND, RATE, log_mel, powers, warped
from staging.recognition.token_bytes import chinese
from wire.sentence import normalise

# Of Whisper's input: at most the 30 s that it was trained on.
FRAMES_MAX = 3000
EXTRA_SECONDS = 1.0
# The server typically has two cores; more threads gain little for a model this small.
THREADS_MAX = 4
BEAM = 5
# Tokens of one text: a run-away repetition has all that it may. So fast nobody speaks: six syllables a second, of which
# some are two tokens.
TOKENS_MAX, TOKENS_LEAST, TOKENS_PER_SECOND = 30, 8, 7
# Whisper writes the script of its prompt. Without one it hears what is spoken, in any script; the
# second lets it write commands. Neither has a title, and what only repeats it is dropped.
PROMPTS = ("", "播放故事，继续。")
SILENCE_SECONDS = 1.0
# By how much a child's voice is brought down: between the voices of three and of twelve years.
CHILD_OVER_ADULT = 1.25
# Jobs of comparing at a time, each by a core.
JOBS_AT_ONCE = 2
# Phrases whose probability for silence is remembered: those of some catalogues.
PRIORS_MAX = 50_000


def is_echo(text: str, prompt: str) -> bool:
    """Return whether a text repeats the prompt: its first phrase, which nobody says, is in it."""
    first = normalise(prompt.partition("，")[0])
    return bool(first) and first in normalise(text)


def tokens_of(seconds: float) -> int:
    """Return how many tokens a text of a sound may have, by its length."""
    return min(TOKENS_MAX, TOKENS_LEAST + round(TOKENS_PER_SECOND * seconds))


def halves(phrases: Sequence[str]) -> list[list[str]]:
    """Return the phrases in two parts, each a job: those that begin alike are together, for they are computed once."""
    ordered = sorted(set(phrases))
    middle = len(ordered) // 2
    return [part for part in (ordered[:middle], ordered[middle:]) if part]


class Views(NamedTuple):
    """One sound as the encoder gives it, looked at in each way."""

    plain: Any
    cleaned: Any
    lowered: Any


def together(
    plain: Sequence[float], clean: Sequence[float], lowered: Sequence[float]
) -> list[float]:
    """Return the scores of phrases by all looks: of an adult's voice, or of a child's.

    An adult's are the mean of the sound with and without its noise; who it was is told by what explains it best.
    """
    adult = [(one + other) / 2 for one, other in zip(plain, clean, strict=True)]
    return max(adult, list(lowered), key=lambda scores: max(scores, default=0.0))


class Whisper:
    """Whisper in CTranslate2; it keeps the sound heard last for `score`."""

    def __init__(self, folder: Path) -> None:
        """Load the model of ``folder``; raises ImportError, OSError, RuntimeError, ValueError."""
        # Never download: a missing model is an error.
        os.environ["HF_HUB_OFFLINE"] = "1"
        # Two threads of ours look at a time: more that wait for each other by spinning cost most of two cores.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        # Imported here, because it takes most of a second and may be missing.
        import ctranslate2  # noqa: PLC0415
        import numpy  # noqa: PLC0415, ICN001
        import tokenizers  # noqa: PLC0415
        from faster_whisper.feature_extractor import FeatureExtractor  # noqa: PLC0415
        from faster_whisper.tokenizer import Tokenizer  # noqa: PLC0415

        threads = min(THREADS_MAX, os.cpu_count() or 1)
        self._numpy: Any = numpy
        self._storage: Any = ctranslate2.StorageView
        self._model: Any = ctranslate2.models.Whisper(
            str(folder), device="cpu", compute_type="int8", intra_threads=threads
        )
        reader = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokens: Any = Tokenizer(reader, multilingual=True, task="transcribe", language="zh")
        self._filters: Any = FeatureExtractor().mel_filters
        self._starts = [self._start(prompt) for prompt in PROMPTS]
        names = (reader.id_to_token(token) or "" for token in range(self._tokens.eot))
        weights = read_weights(folder / "model.bin", "decoder/")
        self._decoder = Decoder(weights, chinese(names))
        self._pool = ThreadPoolExecutor(min(threads, JOBS_AT_ONCE), "comparing")
        self._priors: dict[str, float] = {}
        nothing = powers(numpy.zeros(round(RATE * SILENCE_SECONDS)))
        self._silence = self._decoder.memory(self._encoded(nothing)[0])
        self._views: list[Memory] = [self._silence] * len(Views._fields)

    def hear(self, sound: Pcm) -> Hearing:
        """Return the texts that the sound may be, by mean log probability, and whether it is none."""
        views = self._looked_at(self._numbers(sound))
        self._views = [self._decoder.memory(encoded[0]) for encoded in views]
        texts: dict[str, float] = {}
        silence = 0.0
        most = tokens_of(sound.seconds)
        # The looks in one go: the model's weights are read once for all of them.
        looks = [(0, views), *((place, views[:1]) for place in range(1, len(PROMPTS)))]
        for place, encoded in looks:
            for found in self._generate(self._numpy.concatenate(encoded), place, most):
                silence = max(silence, float(found.no_speech_prob))
                for ids, score in zip(found.sequences_ids, found.scores, strict=True):
                    text = self._tokens.decode(ids).strip()
                    if normalise(text) and not is_echo(text, PROMPTS[place]):
                        texts[text] = max(texts.get(text, score), score)
        best = sorted(texts.items(), key=lambda pair: -pair[1])[:HYPOTHESES_MAX]
        return Hearing(tuple(Hypothesis(text, round(score, 3)) for text, score in best), silence)

    def score(self, phrases: Sequence[str]) -> list[float]:
        """Return how much better each phrase explains the sound heard last than silence does."""
        priors = self._pool.submit(self._priors_of, phrases)
        parts = halves(phrases)
        trees = [self._tree(part) for part in parts]
        looks = [
            [self._pool.submit(self._decoder.log_probabilities, view, tree) for tree in trees]
            for view in self._views
        ]
        better = []
        for look in looks:
            found = (job.result() for job in look)
            said = {phrase: p for part, ps in zip(parts, found, strict=True) for phrase, p in zip(part, ps, strict=True)}  # fmt: skip
            better.append(
                [said[phrase] - p for phrase, p in zip(phrases, priors.result(), strict=True)]
            )
        return [round(each, 2) for each in together(*better)]

    def _priors_of(self, phrases: Sequence[str]) -> list[float]:
        """Return the log probability of each phrase for silence, computed once."""
        if len(self._priors) > PRIORS_MAX:
            self._priors.clear()
        new = [phrase for phrase in dict.fromkeys(phrases) if phrase not in self._priors]
        if new:
            found = self._decoder.log_probabilities(self._silence, self._tree(new))
            self._priors.update(zip(new, found, strict=True))
        return [self._priors[phrase] for phrase in phrases]

    def _tree(self, phrases: Sequence[str]) -> Tree:
        # Without a prompt: it would make the words likelier that it has.
        start = [*self._starts[0], self._tokens.no_timestamps]
        return Tree(start, [self._tokens.encode(phrase) for phrase in phrases])

    def _start(self, prompt: str) -> list[int]:
        before = [self._tokens.sot_prev, *self._tokens.encode(" " + prompt)] if prompt else []
        return [*before, *self._tokens.sot_sequence]

    def _numbers(self, sound: Pcm) -> Any:
        samples = sound.samples
        if sound.rate != RATE:
            samples = resample(samples, sound.rate, RATE)
        return self._numpy.frombuffer(samples, "<i2").astype("float32") / 32768

    def _looked_at(self, numbers: Any) -> Views:
        plain = powers(numbers)
        lowered = warped(plain, CHILD_OVER_ADULT)
        return Views(*map(self._encoded, (plain, powers(cleaned(numbers)), lowered)))

    def _encoded(self, power: Any) -> Any:
        """Return the encoder's output: an array of one, half the frames, the model's width."""
        wanted = power.shape[1] + round(EXTRA_SECONDS * FRAMES_PER_SECOND)
        frames = min(FRAMES_MAX, wanted + wanted % 2)
        ready = log_mel(power, self._filters, frames)[None]
        encoded = self._model.encode(self._storage.from_array(ready), to_cpu=True)
        return self._numpy.array(encoded)

    def _generate(self, encoded: Any, place: int, most: int) -> Any:
        """Return the texts of each of some looks, with a prompt, of at most so many tokens."""
        prompt = [*self._starts[place], self._tokens.no_timestamps]
        return self._model.generate(
            self._storage.from_array(encoded), [prompt] * len(encoded), beam_size=BEAM, num_hypotheses=BEAM,
            return_scores=True, return_no_speech_prob=True, max_length=len(prompt) + most,
        )  # fmt: skip


def load(cache: Path) -> Whisper:
    """Load the model that the extra brings, joining it in ``cache`` first; raises StagingError."""
    return Whisper(join_model(cache))
