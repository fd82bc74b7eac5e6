"""Whisper's decoder for one purpose: how likely many given phrases are for one sound, all at once.

CTranslate2 does it phrase by phrase, and projects the sound's encoding anew for each of them, which takes most of
the time. Here the phrases are one tree of tokens: what they begin with in common is computed once, and the encoding
once for all. The numbers are those of the same model file, in 32 bits (docs/adr/0064).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

# Of Whisper base; its file names no other size.
HEADS = 8
_EPSILON = 1e-5
# What hides a token that is no ancestor: its share of the attention is exactly 0.
_HIDDEN = -1e9
# What each layer looks up of a sound: keys and values.
Memory = list[tuple[Any, Any]]
# Types of CTranslate2's file that the decoder's numbers have (number of the type: numpy's name).
_TYPES = {0: "<f4", 4: "<f2"}


def read_weights(path: Path, beginning: str) -> dict[str, Any]:
    """Return the arrays of a CTranslate2 model file whose names begin so, by the rest of their names.

    They stay in the file until they are used, which an embedding of 50,000 tokens mostly never is.

    Raises:
        OSError: the file cannot be read.
        struct.error, UnicodeDecodeError: it is not such a file.
    """
    import numpy  # noqa: PLC0415, ICN001  # of the extra

    found: dict[str, Any] = {}
    with path.open("rb") as file:
        _numbers(file, "<I")  # the format's version
        _name(file)
        _, count = _numbers(file, "<II")
        for _ in range(count):
            name = _name(file)
            (rank,) = _numbers(file, "<B")
            shape = _numbers(file, f"<{rank}I")
            kind, size = _numbers(file, "<BI")
            if kind in _TYPES and name.startswith(beginning):
                found[name.removeprefix(beginning)] = numpy.memmap(
                    path, _TYPES[kind], "r", file.tell(), shape
                )
            file.seek(size, 1)
    return found


def _numbers(file: BinaryIO, form: str) -> tuple[Any, ...]:
    return struct.unpack(form, file.read(struct.calcsize(form)))


def _name(file: BinaryIO) -> str:
    (size,) = _numbers(file, "<H")
    return file.read(size).rstrip(b"\0").decode()


class Tree:
    """Sequences of tokens as one tree; they share what they begin with."""

    def __init__(self, start: Sequence[int], sequences: Iterable[Sequence[int]]) -> None:
        """Make the tree of ``start``, which all begin with, and each sequence after it."""
        self.tokens: list[int] = []
        self.parents: list[int] = []
        self.depths: list[int] = []
        self._places: dict[tuple[int, int], int] = {}
        root = -1
        for token in start:
            root = self._child(root, token)
        self.paths = [self._path(root, sequence) for sequence in sequences]
        """The nodes of each sequence, without those of the start."""

    def _path(self, node: int, sequence: Sequence[int]) -> list[int]:
        path = []
        for token in sequence:
            node = self._child(node, token)
            path.append(node)
        return path

    def _child(self, parent: int, token: int) -> int:
        place = self._places.get((parent, token))
        if place is None:
            place = self._places[parent, token] = len(self.tokens)
            self.tokens.append(token)
            self.parents.append(parent)
            self.depths.append(self.depths[parent] + 1 if parent >= 0 else 0)
        return place

    def hidden(self, numpy: Any) -> Any:
        """Return what is added to each node's attention to each: 0 for itself and its ancestors."""
        count = len(self.tokens)
        mask = numpy.full((count, count), _HIDDEN, "float32")
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                mask[node] = mask[parent]
            mask[node, node] = 0.0
        return mask


class Decoder:
    """The decoder's layers; it keeps nothing of what it has computed."""

    def __init__(self, weights: Mapping[str, Any], words: Sequence[int]) -> None:
        """Take the arrays of `read_weights`; ``words`` are the tokens between which is chosen."""
        import numpy  # noqa: PLC0415, ICN001  # of the extra

        self._numpy: Any = numpy
        self._embedding = weights["embeddings/weight"]
        self._places = self._floats(weights["position_encodings/encodings"])
        self._words = frozenset(words)
        self._out = self._rows(words).T
        self._layers = [self._layer(weights, number) for number in range(_layers(weights))]
        self._last = tuple(
            self._floats(weights[f"layer_norm/{name}"]) for name in ("gamma", "beta")
        )

    def _floats(self, values: Any) -> Any:
        return self._numpy.array(values, "float32")

    def _rows(self, tokens: Sequence[int]) -> Any:
        """Return the embeddings of tokens: tokens by width."""
        return self._floats(self._embedding[self._numpy.array(tokens, "int64")])

    def _layer(self, weights: Mapping[str, Any], number: int) -> dict[str, Any]:
        """Return a layer's arrays by name, its matrices turned over."""
        start = f"layer_{number}/"
        own = {k.removeprefix(start): v for k, v in weights.items() if k.startswith(start)}
        return {k: self._floats(v.T) for k, v in own.items()}

    def memory(self, encoded: Any) -> Memory:
        """Return what each layer looks up of a sound (the encoder's output, times by width)."""
        return [self._looked_up(layer, encoded) for layer in self._layers]

    def _looked_up(self, layer: Mapping[str, Any], encoded: Any) -> tuple[Any, Any]:
        both = _linear(layer, "attention/linear_1", encoded)
        keys, values = self._numpy.split(both, 2, axis=1)
        return self._heads(keys), self._heads(values)

    def log_probabilities(self, memory: Memory, tree: Tree) -> list[float]:
        """Return the log probability of each sequence of a tree for a sound."""
        numpy = self._numpy
        at = numpy.array(tree.depths)
        states = self._rows(tree.tokens) + self._places[at]
        hidden = tree.hidden(numpy)
        for layer, (keys, values) in zip(self._layers, memory, strict=True):
            states = states + self._among(layer, states, hidden)
            states = states + self._of_sound(layer, states, keys, values)
            states = states + self._thought(layer, states)
        return self._read(self._normal(states, self._last), tree)

    def _among(self, layer: Mapping[str, Any], states: Any, hidden: Any) -> Any:
        normal = self._normal(states, _norm(layer, "self_attention"))
        parts = _linear(layer, "self_attention/linear_0", normal)
        queries, keys, values = map(self._heads, self._numpy.split(parts, 3, axis=1))
        found = self._attended(queries, keys, values, hidden)
        return _linear(layer, "self_attention/linear_1", found)

    def _of_sound(self, layer: Mapping[str, Any], states: Any, keys: Any, values: Any) -> Any:
        normal = self._normal(states, _norm(layer, "attention"))
        queries = self._heads(_linear(layer, "attention/linear_0", normal))
        return _linear(layer, "attention/linear_2", self._attended(queries, keys, values, 0.0))

    def _thought(self, layer: Mapping[str, Any], states: Any) -> Any:
        numpy = self._numpy
        x = _linear(layer, "ffn/linear_0", self._normal(states, _norm(layer, "ffn")))
        # GELU, by its usual approximation: numpy has no error function.
        x *= 0.5 * (1 + numpy.tanh(0.7978845608 * x * (1 + 0.044715 * x * x)))
        return _linear(layer, "ffn/linear_1", x)

    def _attended(self, queries: Any, keys: Any, values: Any, hidden: Any) -> Any:
        """Return the attention's result: nodes by width."""
        numpy = self._numpy
        weights = queries @ keys.transpose(0, 2, 1) / queries.shape[2] ** 0.5 + hidden
        weights = numpy.exp(weights - weights.max(axis=2, keepdims=True))
        weights /= weights.sum(axis=2, keepdims=True)
        return (weights @ values).transpose(1, 0, 2).reshape(queries.shape[1], -1)

    def _heads(self, states: Any) -> Any:
        """Return states (times by width) as heads by times by width of a head."""
        parts = states.reshape(len(states), HEADS, -1).transpose(1, 0, 2)
        return self._numpy.ascontiguousarray(parts)

    def _normal(self, states: Any, norm: Sequence[Any]) -> Any:
        centred = states - states.mean(axis=1, keepdims=True)
        spread = self._numpy.sqrt((centred**2).mean(axis=1, keepdims=True) + _EPSILON)
        return centred / spread * norm[0] + norm[1]

    def _read(self, states: Any, tree: Tree) -> list[float]:
        """Return the sums of the log probabilities along each path."""
        numpy = self._numpy
        asked = sorted({tree.parents[node] for path in tree.paths for node in path})
        row = {node: place for place, node in enumerate(asked)}
        # What is no word is chosen between all the same where a phrase has it: the letters of a title.
        more = sorted({tree.tokens[node] for path in tree.paths for node in path} - self._words)
        logits = states[asked] @ self._out
        if more:
            logits = numpy.concatenate([logits, states[asked] @ self._rows(more).T], axis=1)
        most = logits.max(axis=1)
        total = most + numpy.log(numpy.exp(logits - most[:, None]).sum(axis=1))
        below = [node for node, parent in enumerate(tree.parents) if parent in row]
        above = [row[tree.parents[node]] for node in below]
        own = (states[asked][above] * self._rows([tree.tokens[node] for node in below])).sum(axis=1)
        logs = dict(zip(below, (own - total[above]).tolist(), strict=True))
        return [sum(logs[node] for node in path) for path in tree.paths]


def _layers(weights: Mapping[str, Any]) -> int:
    return len({name.split("/")[0] for name in weights if name.startswith("layer_") and not name.startswith("layer_norm")})  # fmt: skip


def _norm(layer: Mapping[str, Any], part: str) -> Sequence[Any]:
    return layer[f"{part}/layer_norm/gamma"], layer[f"{part}/layer_norm/beta"]


def _linear(layer: Mapping[str, Any], name: str, states: Any) -> Any:
    return states @ layer[f"{name}/weight"] + layer[f"{name}/bias"]
