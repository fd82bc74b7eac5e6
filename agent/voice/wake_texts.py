"""What ``story-agent wake`` says to a family, in Chinese or English by the locale (`choose_language`)."""

from __future__ import annotations

from collections.abc import Mapping

from audio.wake_take import Flaw
from resources.announce.settings import Language

Texts = Mapping[Language, str]


def _both(chinese: str, english: str) -> Texts:
    return {Language.CHINESE: chinese, Language.ENGLISH: english}


FLAWS: Mapping[Flaw, Texts] = {
    Flaw.NOTHING: _both("没有录到声音。", "Nothing was recorded."),
    Flaw.QUIET: _both("太轻了：请靠近一点，或说得响一点。", "Too quiet: come nearer, or speak up."),
    Flaw.NOISY: _both(
        "周围太吵：请在安静的房间里再说一遍。", "Too noisy: say it again in a quiet room."
    ),
    Flaw.CLIPPED: _both("太响了：请离远一点。", "Too loud: step back a little."),
    Flaw.SHORT: _both(
        "太短了：请用三个字以上的词，并说完整。",
        "Too short: take a word of three syllables or more, and say all of it.",
    ),
    Flaw.LONG: _both(
        "太长了：只说唤醒词，不说别的。", "Too long: say the wake word and nothing else."
    ),
    Flaw.UNLIKE: _both(
        "和前几遍不像：请再说一遍同一个词。", "Unlike the others: say the same word again."
    ),
}

SAY = _both(
    "第 {number} 遍（共 {count} 遍）：听到提示音后说“{name}”。",
    "{number} of {count}: say “{name}” after the tone.",
)
GOOD = _both("好。", "Good.")
GIVEN_UP = _both("没有录成：{tries} 遍都不能用。", "Not recorded: {tries} takes could not be used.")
SHORT_NAME = _both(
    "“{name}”太短：三个字以上的词才不容易听错。",
    "“{name}” is short: words of three syllables and more are mistaken less.",
)
COMMON = _both(
    "“{name}”里有常说的话（{words}）：容易误听。",
    "“{name}” has everyday words in it ({words}): it will be heard by mistake.",
)
NO_PINYIN = _both(
    "不知道“{name}”的读音：用 --pinyin 写出来，才能比较相近的词。",
    "How “{name}” is said is not known: give it with --pinyin, so that similar words can be compared.",
)
NO_STORIES = _both(
    "没有可以试听的故事（{folder}），所以这个词还不能用。放进故事后：story-agent wake card {name}",
    "There are no stories to try it on ({folder}), so the word is not used yet. With some: story-agent wake card {name}",
)
PLAYED = _both(
    "已试听 {hours:.2f} 小时，误听 {hits} 次", "{hours:.2f} h played, {hits} false alarms"
)
USED = _both("“{name}”可以用了。", "“{name}” is listened for.")
UNUSED = _both("“{name}”不能用：{doubts}", "“{name}” is not listened for: {doubts}")
OFF = _both(
    "唤醒词现在是关着的：在 agent.toml 里写 [wake] on = true。",
    "The wake word is off: write [wake] on = true into agent.toml.",
)
MUTED = _both(
    "麦克风是关着的：story-agent set microphone true",
    "The microphone is off: story-agent set microphone true",
)
RULES = _both("家长规则不许现在录音：{reason}", "The parents' rules: {reason}")
LENT_NOT = _both("代理不让录音：{reason}", "The agent does not lend the microphone: {reason}")
