"""Phrases as one tree, in a decoder of two layers with numbers of chance: the model itself is tested in test_path.py."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import pytest

from staging.recognition.decoder import Decoder, Tree, read_weights

numpy = pytest.importorskip("numpy", reason="numpy is missing: pip install . './cloud[asr]'")

WIDTH, TOKENS, DEPTH, LAYERS = 16, 40, 12, 2
START = (1, 2)
PHRASES = ((3, 4, 5), (3, 4, 6, 7), (3, 8), (9, 4, 5), (3, 4, 5))


def weights() -> dict[str, Any]:
    chance = numpy.random.default_rng(5)

    def numbers(*shape: int) -> Any:
        return chance.normal(0, 0.3, shape).astype("float16")

    made = {"embeddings/weight": numbers(TOKENS, WIDTH), "position_encodings/encodings": numbers(DEPTH, WIDTH)}  # fmt: skip
    for part in ("", *(f"layer_{n}/{p}/" for n in range(LAYERS) for p in ("self_attention", "attention", "ffn"))):  # fmt: skip
        made[f"{part}layer_norm/gamma"] = numbers(WIDTH) + 1
        made[f"{part}layer_norm/beta"] = numbers(WIDTH)
    for layer in range(LAYERS):
        for name, out, into in (
            ("self_attention/linear_0", 3 * WIDTH, WIDTH), ("self_attention/linear_1", WIDTH, WIDTH),
            ("attention/linear_0", WIDTH, WIDTH), ("attention/linear_1", 2 * WIDTH, WIDTH),
            ("attention/linear_2", WIDTH, WIDTH), ("ffn/linear_0", 4 * WIDTH, WIDTH), ("ffn/linear_1", WIDTH, 4 * WIDTH),
        ):  # fmt: skip
            made[f"layer_{layer}/{name}/weight"] = numbers(out, into)
            made[f"layer_{layer}/{name}/bias"] = numbers(out)
    return made


def heard() -> Any:
    return numpy.random.default_rng(6).normal(0, 1, (7, WIDTH)).astype("float32")


def scores(decoder: Decoder, phrases: tuple[tuple[int, ...], ...]) -> list[float]:
    return decoder.log_probabilities(decoder.memory(heard()), Tree(START, phrases))


def test_phrases_together_are_as_likely_as_each_alone() -> None:
    decoder = Decoder(weights(), range(TOKENS))
    alone = [scores(decoder, (phrase,))[0] for phrase in PHRASES]
    assert scores(decoder, PHRASES) == pytest.approx(alone, abs=1e-4)
    assert len({round(each, 3) for each in alone}) == 4


def test_the_next_tokens_are_as_likely_as_one_in_all() -> None:
    decoder = Decoder(weights(), range(TOKENS))
    found = scores(decoder, tuple((3, token) for token in range(TOKENS)))
    first = scores(decoder, ((3,),))[0]
    assert sum(math.exp(each - first) for each in found) == pytest.approx(1.0, abs=1e-3)


def test_a_token_that_is_no_word_is_chosen_between_where_a_phrase_has_it() -> None:
    words = [3, 4, 5, 6, 7, 8, 9]
    few = Decoder(weights(), words)
    assert scores(few, ((20,),))[0] < 0
    both = scores(few, ((3,), (20,)))
    assert sum(map(math.exp, scores(few, tuple((w,) for w in words)))) == pytest.approx(1, abs=1e-3)
    assert both[0] < scores(few, ((3,),))[0]


def test_a_sound_changes_what_is_likely() -> None:
    decoder = Decoder(weights(), range(TOKENS))
    silence = decoder.memory(numpy.zeros((7, WIDTH), "float32"))
    assert decoder.log_probabilities(silence, Tree(START, PHRASES)) != scores(decoder, PHRASES)


def test_no_phrases_have_no_scores() -> None:
    assert scores(Decoder(weights(), range(TOKENS)), ()) == []


def test_what_phrases_begin_with_is_one_branch() -> None:
    tree = Tree(START, PHRASES)
    assert len(tree.tokens) == 2 + 9
    assert [[tree.tokens[node] for node in path] for path in tree.paths] == list(map(list, PHRASES))


def test_the_arrays_of_a_model_file_are_read_by_their_names(tmp_path: Path) -> None:
    one = numpy.arange(6, dtype="<f2").reshape(2, 3)
    rows = [("decoder/a/weight", (2, 3), 4, one.tobytes()), ("encoder/a/weight", (2,), 0, bytes(8)),
            ("decoder/heads", (), 2, b"\1\0"), ("decoder/b", (1,), 0, struct.pack("<f", 2.5))]  # fmt: skip
    path = tmp_path / "model.bin"
    path.write_bytes(struct.pack("<I", 6) + name("WhisperSpec") + struct.pack("<II", 3, len(rows)) + b"".join(
        name(key) + struct.pack(f"<B{len(shape)}IBI", len(shape), *shape, kind, len(raw)) + raw
        for key, shape, kind, raw in rows
    ))  # fmt: skip
    found = read_weights(path, "decoder/")
    assert sorted(found) == ["a/weight", "b"]
    assert found["a/weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["b"].tolist() == [2.5]


def name(text: str) -> bytes:
    raw = text.encode() + b"\0"
    return struct.pack("<H", len(raw)) + raw
