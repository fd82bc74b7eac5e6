"""What ``story-agent wake`` says to a family, in Chinese or English by the locale (`choose_language`)."""

from __future__ import annotations

from collections.abc import Mapping

from audio.wake_card import Card, Doubt
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

DOUBTS: Mapping[Doubt, Texts] = {
    Doubt.RECALL: _both(
        "{spoken} 遍里只听出 {recalled} 遍：在安静的房间里，用同样的说法再录一次，或换一个词",
        "heard {recalled} of {spoken} takes: record it again in a quiet room, said the same way, or take another word",
    ),
    Doubt.FALSE_ALARMS: _both(
        "{hours:.2g} 小时里误听 {false_alarms} 次：换一个词",
        "{false_alarms} false alarms in {hours:.2g} h: take another word",
    ),
    Doubt.NEAR: _both("会听成它的：{taken}：换一个词", "taken for it: {taken}: take another word"),
    Doubt.HOURS: _both(
        "还没有试听过故事：story-agent wake card 加上这个词",
        "no other speech was played to it: story-agent wake card, and the word",
    ),
}
NO_CARD = _both("没有试听结果：重新录", "it has no card: record it again")

SAY = _both(
    "第 {number} 遍（共 {count} 遍）：听到提示音后说“{name}”。",
    "{number} of {count}: say “{name}” after the tone.",
)
GOOD = _both("好。", "Good.")
MORE = _both(
    "{spoken} 遍里只听出 {recalled} 遍，再录一遍会更好。",
    "{recalled} of {spoken} takes would be heard; one more take helps.",
)
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
NO_WORDS = _both(
    "还没有录过唤醒词：story-agent wake enrol 加上一个词",
    "no word is recorded yet: story-agent wake enrol, and a word",
)
HEARD = _both(
    "{path}：听成“{word}”，是门限的 {share:.2f}",
    "{path}: heard {word}, {share:.2f} of its threshold",
)
NEAR = _both(
    "{path}：接近“{word}”，是门限的 {share:.2f}",
    "{path}: near {word}, {share:.2f} of its threshold",
)
NOTHING = _both("{path}：没有听出", "{path}: nothing")
LISTENED = _both("可以用", "listened for")
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


def doubts_of(card: Card | None, language: Language) -> str:
    """Return why a word with this card is not used, and what helps; an empty string if it is."""
    if card is None:
        return NO_CARD[language]
    told = [
        DOUBTS[doubt][language].format(
            recalled=card.recalled, spoken=card.spoken, hours=card.hours, false_alarms=card.false_alarms,
            taken=card.taken,
        )
        for doubt in card.kinds_of_doubt()
    ]  # fmt: skip
    return ("；" if language is Language.CHINESE else "; ").join(told)
