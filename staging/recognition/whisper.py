"""Whisper as recognition's speech model: several texts of a sound, and the likelihood of given ones.

Whisper pads every sound to 30 s; here it is shown the sound and a second of silence only, which is
ten times as fast and hears short words better (measured in docs/recognition.md). A phrase's score is
its probability for this sound compared with that for silence: what the language model would say
anyway counts nothing, and a short word is not drowned by a long one that Whisper likes to write.
The best are compared with the sound without its noise too (`staging.recognition.clean`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audio.pcm import Pcm
from audio.resample import resample
from staging.recognition.clean import cleaned
from staging.recognition.hearing import HYPOTHESES_MAX, Hearing, Hypothesis
from staging.recognition.model import join_model
from wire.sentence import normalise

RATE = 16000
# Of Whisper's input: 100 frames a second, at most the 30 s that it was trained on.
FRAMES_PER_SECOND, FRAMES_MAX = 100, 3000
EXTRA_SECONDS = 1.0
# The server typically has two cores; more threads gain little for a model this small.
THREADS_MAX = 4
BEAM = 5
# Tokens of one text: a sentence to a story machine has under fifteen, a run-away repetition has all.
TOKENS_MAX = 30
# Whisper writes the script of its prompt. Without one it hears what is spoken, in any script; the
# second lets it write commands. Neither has a title, and what only repeats it is dropped.
PROMPTS = ("", "播放故事，继续。")
SILENCE_SECONDS = 1.0
# Phrases that are scored at once: more are padded to the longest, and leave the processor's cache.
BATCH = 8
# Phrases that are also compared with the cleaned sound: more change nothing but the time.
LOOKED_AT_TWICE = 12
PROBABILITY_MIN = 1e-10
# Phrases whose probability for silence is remembered: those of some catalogues.
PRIORS_MAX = 50_000


def is_echo(text: str, prompt: str) -> bool:
    """Return whether a text repeats the prompt: its first phrase, which nobody says, is in it."""
    first = normalise(prompt.partition("，")[0])
    return bool(first) and first in normalise(text)


class Whisper:
    """Whisper in CTranslate2; it keeps the sound heard last for `score`."""

    def __init__(self, folder: Path) -> None:
        """Load the model of ``folder``; raises ImportError, OSError, RuntimeError, ValueError."""
        # Never download: a missing model is an error.
        os.environ["HF_HUB_OFFLINE"] = "1"
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
        self._features: Any = FeatureExtractor()
        self._starts = [self._start(prompt) for prompt in PROMPTS]
        self._priors: dict[str, float] = {}
        self._silence = self._encoded(numpy.zeros(round(RATE * SILENCE_SECONDS)))
        self._heard = self._cleaned = self._silence

    def hear(self, sound: Pcm) -> Hearing:
        """Return the texts that the sound may be, by mean log probability, and whether it is none."""
        numbers = self._numbers(sound)
        self._heard = self._encoded(numbers)
        self._cleaned = self._encoded(cleaned(numbers))
        texts: dict[str, float] = {}
        silence = 0.0
        looks = [(self._heard, prompt) for prompt in PROMPTS] + [(self._cleaned, PROMPTS[0])]
        for encoded, prompt in looks:
            found = self._generate(encoded, self._starts[PROMPTS.index(prompt)])
            silence = max(silence, float(found.no_speech_prob))
            for ids, score in zip(found.sequences_ids, found.scores, strict=True):
                text = self._tokens.decode(ids).strip()
                if normalise(text) and not is_echo(text, prompt):
                    texts[text] = max(texts.get(text, score), score)
        best = sorted(texts.items(), key=lambda pair: -pair[1])[:HYPOTHESES_MAX]
        return Hearing(tuple(Hypothesis(text, round(score, 3)) for text, score in best), silence)

    def score(self, phrases: Sequence[str]) -> list[float]:
        """Return how much better each phrase explains the sound heard last than silence does.

        The best of them are scored by the mean of the sound and the cleaned sound, the others as if cleaning
        had changed them as much on average.
        """
        first = self._better_than_silence(self._heard, phrases)
        order = sorted(range(len(phrases)), key=lambda place: -first[place])[:LOOKED_AT_TWICE]
        again = self._better_than_silence(self._cleaned, [phrases[place] for place in order])
        gains = {place: (p - first[place]) / 2 for place, p in zip(order, again, strict=True)}
        usual = sum(gains.values()) / max(len(gains), 1)
        return [round(p + gains.get(place, usual), 2) for place, p in enumerate(first)]

    def _better_than_silence(self, encoded: Any, phrases: Sequence[str]) -> list[float]:
        heard = self._log_probabilities(encoded, phrases)
        if len(self._priors) > PRIORS_MAX:
            self._priors.clear()
        new = [phrase for phrase in phrases if phrase not in self._priors]
        self._priors.update(zip(new, self._log_probabilities(self._silence, new), strict=True))
        return [p - self._priors[x] for p, x in zip(heard, phrases, strict=True)]

    def _start(self, prompt: str) -> list[int]:
        before = [self._tokens.sot_prev, *self._tokens.encode(" " + prompt)] if prompt else []
        return [*before, *self._tokens.sot_sequence]

    def _numbers(self, sound: Pcm) -> Any:
        samples = sound.samples
        if sound.rate != RATE:
            samples = resample(samples, sound.rate, RATE)
        return self._numpy.frombuffer(samples, "<i2").astype("float32") / 32768

    def _encoded(self, numbers: Any) -> Any:
        """Return the encoder's output: an array of one, half the frames, the model's width."""
        wanted = round((len(numbers) / RATE + EXTRA_SECONDS) * FRAMES_PER_SECOND)
        frames = min(FRAMES_MAX, wanted + wanted % 2)
        features = self._features(numbers.astype("float32"))[:, :frames]
        features = self._numpy.pad(features, ((0, 0), (0, frames - features.shape[1])))
        ready = self._numpy.ascontiguousarray(features[None], "float32")
        encoded = self._model.encode(self._storage.from_array(ready), to_cpu=True)
        return self._numpy.array(encoded)

    def _generate(self, encoded: Any, start: list[int]) -> Any:
        prompt = [*start, self._tokens.no_timestamps]
        (found,) = self._model.generate(
            self._storage.from_array(encoded), [prompt], beam_size=BEAM, num_hypotheses=BEAM,
            return_scores=True, return_no_speech_prob=True, max_length=len(prompt) + TOKENS_MAX,
        )  # fmt: skip
        return found

    def _log_probabilities(self, encoded: Any, phrases: Sequence[str]) -> list[float]:
        """Return the log probability of each phrase; those of about one length are done together."""
        tokens = [self._tokens.encode(phrase) for phrase in phrases]
        order = sorted(range(len(phrases)), key=lambda place: len(tokens[place]))
        logs = [0.0] * len(phrases)
        for first in range(0, len(order), BATCH):
            places = order[first : first + BATCH]
            found = self._aligned(encoded, [tokens[place] for place in places])
            for place, value in zip(places, found, strict=True):
                logs[place] = value
        return logs

    def _aligned(self, encoded: Any, tokens: list[list[int]]) -> list[float]:
        repeated = self._storage.from_array(self._numpy.repeat(encoded, len(tokens), 0))
        # Without a prompt: it would be computed with each phrase, and make the words likelier that it has.
        found = self._model.align(repeated, self._starts[0], tokens, encoded.shape[1])
        floored = (self._numpy.maximum(each.text_token_probs, PROBABILITY_MIN) for each in found)
        return [float(self._numpy.log(values).sum()) for values in floored]


def load(cache: Path) -> Whisper:
    """Load the model that the extra brings, joining it in ``cache`` first; raises StagingError."""
    return Whisper(join_model(cache))
