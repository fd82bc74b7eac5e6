"""The doctor's check of the wake word: the models, the words, and what the running agent says of them."""

from __future__ import annotations

from agent.doctor.findings import Finding, bad, good, hint, skipped
from agent.doctor.patient import Patient
from agent.words import Words
from audio.embedding import Missing, find_models
from machine.wake_words import WakeWords

_ENROL = Words(
    "story-agent wake enrol 名字；story-agent wake list 说明原因",
    "story-agent wake enrol NAME; story-agent wake list says why a word is not used",
)


def check_wake(patient: Patient) -> Finding:
    """Return whether any word can be listened for, where the settings want that."""
    if not patient.settings.wake.on:
        return skipped("wake", "唤醒词没有打开", "no wake word is wanted")
    models = find_models()
    if isinstance(models, Missing):
        return bad(
            "wake", Words(f"没有唤醒词的模型：{models.reason}", f"the wake word's models: {models.reason}"),
            Words("pip install -c tools/constraints.txt '.[wake]'", "pip install -c tools/constraints.txt '.[wake]'"),
        )  # fmt: skip
    words, faults = WakeWords(patient.state).read_all()
    used = [each.word.name for each in words if not each.doubts()]
    why = [f"{each.word.name}: {'; '.join(each.doubts())}" for each in words if each.doubts()]
    doubts = ", ".join([*why, *faults.values()])
    if not used:
        told = doubts or "–"
        return bad(
            "wake", Words(f"没有可用的唤醒词：{told}", f"no word can be used: {told}"), _ENROL
        )
    if fault := patient.says("listening", "wake", "fault"):
        return bad(
            "wake", Words(f"代理听不了唤醒词：{fault}", f"the agent cannot listen for it: {fault}"),
            Words("docs/wake.md 列出这些故障", "docs/wake.md lists these faults"),
        )  # fmt: skip
    if doubts:
        return hint(
            "wake", Words(f"有的词不能用：{doubts}", f"not all can be used: {doubts}"), _ENROL
        )
    return good("wake", ", ".join(used), ", ".join(used))
