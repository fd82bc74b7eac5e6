"""Tells an order to the machine from talk to somebody else that only has its words in it. Pure.

A command among other words (妈妈说下一首歌很好听, 继续吃饭, 上个厕所) is no order, and one that is negated (不要下一首)
must not be carried out. So before and after a command only words may stand that go with one.
"""

from __future__ import annotations

import re

TRACKS = "首曲个则集段支"
_ONE = f"[这那一]?{'|[这那一]?'.join(TRACKS)}|[这那]一[{TRACKS}]"
_FAMILY = (
    "妈妈 爸爸 奶奶 爷爷 外婆 姐姐 哥哥 弟弟 妹妹 宝宝 宝贝 小朋友 老师 机器人 机器 故事机 音箱"
)
_OBJECTS = "歌 歌曲 儿歌 故事 音乐 声音 音量 播放 放 播 听 讲 唱 说得 它 这里 这边 我 我们 咱们 你 您 给 把"
_MANNERS = "请 麻烦 拜托 求求 谢谢 谢了 吧 呀 啊 呢 嘛 吗 哦 啦 嘞 了 再 快 就 先 好 不 要 想 都 现在 马上 赶紧 一下 一会儿 一点 点"
_BEFORE_TOO = (
    "的 喂 嘿 哎 诶 嗯 呃 对 行 帮 让 能 能不能 可以 可不可以 要不要 要不 还 还是 也 等会 等会儿 然后 那 那么 但是 可是 因为 所以 觉得 喜欢 爱 是 调 开"
    " 有点 有点儿 真 太 好难听 难听 无聊 没意思 不好听 不喜欢 不想听 不要 听过了 睡觉 睡着 今天 今晚 晚上"
)
_AFTER_TOO = "掉 声 说话 他 她 些 出来 起来 下来 下去 好不好 好吗 行吗 行不行 可以吗 可不可以 一遍 一次 开始 到 格 级 度 下 档"


def _words(*lists: str) -> str:
    """Return a pattern of any of the words any number of times; it never looks back, so it is linear."""
    longest_first = sorted(
        {word for line in lists for word in line.split()}, key=lambda word: -len(word)
    )
    return f"(?:{_ONE}|[0-9 ]|{'|'.join(longest_first)})*+"


# A name by which the machine may be called comes first: 你好小明, 小爱同学, 小度小度.
_BEFORE = re.compile(
    "(?:你好.{0,4}|嗨.{0,4}|.{1,4}同学|(小.)\\1)?"
    + _words(_FAMILY, _OBJECTS, _MANNERS, _BEFORE_TOO)
)
_AFTER = re.compile(_words(_FAMILY, _OBJECTS, _MANNERS, _AFTER_TOO))
# With one of these behind the order a new sentence begins, which says why: 停一下我要上厕所.
_REASON = re.compile("(?:我们?|咱们?|妈妈|爸爸|宝宝|弟弟|妹妹|哥哥|姐姐|奶奶|爷爷|因为|不然|太)")
# These tell about an order, or ask about it, wherever they stand.
_TALK = re.compile(
    "昨天|前天|刚才|刚刚|以前|每天|总是|一直|从来|为什么|怎么|什么|哪[里儿个]|谁|告诉|叫[我他她你]|听说|没说|没有说|说过"
    "|[他她爸妈爷奶师哥姐弟妹婆]们?说(?!话)|是不是|键|按钮|如果|的时候|很好听|真好听"
)
# What makes an order one that is not wanted; 能不能, 可不可以 and 要不要 ask for it.
_NEGATED = re.compile(
    "(?:别|不要|不用|不必|不许|不准|不想要?|(?<!可)(?<!能)不[能该可]以?|不应该|不喜欢|不爱|不是|没有?|禁止|(?<![要可])不)"
    "(?:再|给我们?|帮我|去|来|说|听|放|播|按|要|想|有|把|叫你|让你|声音|音量)*+$"
)
_ASKED = re.compile("(?:能不能|可不可以|要不要|好不好|要不)(?:再|给我们?|帮我)*+$")


def is_negated(before: str) -> bool:
    """Return whether the words before a command forbid it."""
    return not _ASKED.search(before) and bool(_NEGATED.search(before))


def is_order(before: str, after: str) -> bool:
    """Return whether a command between these words is meant for the machine, and wanted."""
    if is_negated(before) or _TALK.search(after) or not is_own(before):
        return False
    match = _AFTER.match(after)
    said, rest = (match[0], after[match.end() :]) if match else ("", after)
    return not rest or bool(_REASON.search(said)) or bool(_REASON.match(rest))


def is_own(before: str) -> bool:
    """Return whether a wish that follows these words is the speaker's, and said to the machine."""
    return not _TALK.search(before) and bool(_BEFORE.fullmatch(before))
