"""What the prompts say, in each language, and the notes of the tones."""

from __future__ import annotations

from collections.abc import Mapping

from resources.announce.cues import Cue

Notes = tuple[tuple[float, float], ...]
"""(Hz, seconds) each."""

PROMPTS: Mapping[Cue, tuple[str, str]] = {
    Cue.NOT_FOUND: ("没有找到这个故事。", "I could not find that one."),
    Cue.OFFER: ("没有找到。你想听的是", "I could not find that. Did you mean"),
    Cue.FIRST: ("第一个", "the first"),
    Cue.SECOND: ("第二个", "or the second"),
    Cue.NO_NETWORK: ("现在没有网络。", "I have no network now."),
    Cue.BROKEN_OFF: ("故事没有放完，就断了。", "The story broke off."),
    Cue.NOT_ALLOWED: ("现在是休息时间。", "It is time to rest now."),
    Cue.LOCKED: ("童锁打开了。", "The child lock is on."),
    Cue.NOT_LISTENING: ("现在不能聊天。", "I may not listen now."),
    Cue.NOT_UNDERSTOOD: ("我没有听清楚。", "I did not understand."),
    Cue.LOW_BATTERY: ("电量不多了，请充电。", "The battery is low. Please charge me."),
    Cue.BATTERY_EMPTY: ("电用完了，我要关机了。", "The battery is empty. I am switching off."),
    Cue.GOOD_NIGHT: ("晚安，做个好梦。", "Good night. Sleep well."),
    Cue.TIME_UP: ("今天听够了，明天再听吧。", "That is all for today. See you tomorrow."),
}
"""The prompts' words, (Chinese, English)."""

TONES: Mapping[Cue, Notes] = {
    Cue.ERROR: ((330.0, 0.16), (262.0, 0.30)),
    Cue.CHARGING: ((523.0, 0.12), (659.0, 0.12), (784.0, 0.30)),
    Cue.TIMER_SOON: ((440.0, 0.50), (392.0, 0.70)),
    Cue.LISTEN: ((659.0, 0.08), (880.0, 0.14)),
    Cue.HEARD: ((880.0, 0.08), (659.0, 0.14)),
    Cue.DONE: ((784.0, 0.09), (1047.0, 0.20)),
    Cue.LIMIT: ((392.0, 0.07), (392.0, 0.14)),
    Cue.BLIP: ((784.0, 0.07),),
}
"""The tones' notes."""
