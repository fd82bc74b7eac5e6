"""Wake words on many hours of Mandarin that is not them (docs/wake.md).

``python -m benchmarks.wake speak FILE --hours 4 [--text BOOK.txt]`` lets espeak-ng read children's stories that it makes up,
or the sentences of a book, in some sixty voices, and stores the points of all of it (`audio.embedding`), no sound.
``python -m benchmarks.wake cards FILE…`` records words in two voices and prints their cards: how often they are
heard when they are said, in those points, and in sounds like them.
"""

from __future__ import annotations

import argparse
import array
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from pypinyin import Style, lazy_pinyin

from agent.voice.wake_card import Trial, learn, near_points
from audio.embedding import SIZE, Embedder, Missing, find_models
from audio.pinyin_near import common_like
from audio.vad import RATE
from audio.wake_match import NEAR
from audio.wake_take import Take, find_word, take_of
from benchmarks.wake_hours import count_hits, shares
from tools.speech import sound_of

WORDS = ("小故事小故事", "小熊故事", "小兔故事", "故事故事", "你好小星", "小星小星", "小星")
# A family: two voices, three takes each.
ENROLLED = (
    ("-p", "40"), ("-p", "60", "-s", "130"), ("-p", "75", "-s", "115"),
    ("-v", "cmn-latn-pinyin+f2", "-p", "50"), ("-v", "cmn-latn-pinyin+f2", "-p", "70", "-s", "130"),
    ("-v", "cmn-latn-pinyin+f2", "-p", "60", "-s", "115"),
)  # fmt: skip
AGAIN = tuple(
    (*manner, "-p", str(int(manner[manner.index("-p") + 1]) + up))
    for manner in ENROLLED
    for up in (-6, 6)
)
STRANGERS = tuple(
    ("-v", f"cmn-latn-pinyin+{voice}", "-p", str(40 + 7 * n % 45))
    for n, voice in enumerate(
        [
            "f1",
            "f3",
            "f4",
            "f5",
            "m1",
            "m2",
            "m3",
            "m5",
            "m6",
            "m7",
            "Annie",
            "belinda",
            "Andy",
            "aunty",
            "max",
            "klatt4",
            "linda",
            "Alicia",
            "adam",
            "pablo",
        ]
    )
)
VOICES = [
    "f1",
    "f2",
    "f3",
    "f4",
    "f5",
    "m1",
    "m2",
    "m3",
    "m4",
    "m5",
    "m6",
    "m7",
    "m8",
    "Annie",
    "Alicia",
    "belinda",
    "Andrea",
    "aunty",
    "linda",
    "adam",
    "Alex",
    "Andy",
    "benjamin",
    "boris",
    "david",
    "ed",
    "Gene",
    "Henrique",
    "Hugo",
    "Jacky",
    "john",
    "Lee",
    "marcelo",
    "max",
    "Michael",
    "miguel",
    "mike",
    "pablo",
    "paul",
    "quincy",
    "rob",
    "robert",
    "steph",
    "steph2",
    "steph3",
    "Tweaky",
    "victor",
    "zac",
    "klatt",
    "klatt2",
    "klatt3",
    "klatt4",
    "anika",
    "Denis",
    "Diogo",
    "edward",
    "grandma",
    "grandpa",
    "iven",
    "iven2",
    "kaukovalta",
    "travis",
    "shelby",
    "sandro",
    "Mario",
    "Marco",
    "caleb",
]
_WHO = [
    "小白兔",
    "小灰狼",
    "小熊",
    "小猪",
    "小老鼠",
    "小星星",
    "小星",
    "小猫咪",
    "小狗",
    "小鸭子",
    "小猴子",
    "小青蛙",
    "小公主",
    "小王子",
    "小男孩",
    "小女孩",
    "大灰狼",
    "大象",
    "老爷爷",
    "老奶奶",
    "狐狸",
    "刺猬",
    "小红帽",
    "乌龟",
    "月亮婆婆",
    "太阳公公",
    "小新",
    "小幸",
    "小心",
    "小信",
    "小小",
    "猩猩",
    "小行星",
]
_WHERE = [
    "森林里",
    "山坡上",
    "小河边",
    "大海边",
    "月亮上",
    "城堡里",
    "村子里",
    "花园里",
    "雪地里",
    "大树下",
    "星星上",
    "学校里",
    "厨房里",
]
_WHAT = [
    "蘑菇",
    "胡萝卜",
    "故事书",
    "小星星",
    "气球",
    "风筝",
    "苹果",
    "小铃铛",
    "蜂蜜",
    "玩具",
    "小花",
    "小船",
    "音乐盒",
    "小灯笼",
    "种子",
    "小故事",
]
_HOW = ["慢慢地", "高兴地", "悄悄地", "着急地", "小心地", "轻轻地", "大声地", "笑眯眯地"]
_SAYS = (
    "从前有一只{who}，住在{where}。", "有一天，{who}在{where}遇见了{other}。", "{who}{how}说：你好，{other}！",
    "{other}问：你在找什么呀？", "我在找我的{what}，{who}回答。", "他们一起走啊走啊，走到了{where}。",
    "突然，天上下起了大雨，{who}躲在{where}。", "{other}{how}把{what}送给了{who}。", "{who}{how}笑了。",
    "一闪一闪亮晶晶，满天都是小星星。", "小朋友们，你们知道{who}为什么哭吗？", "妈妈给{who}讲了一个小故事。",
    "这个故事讲的是{who}和{other}的{what}。", "小心小心，{other}来了！", "{who}，{who}，快快起来！",
    "晚上，{who}看着窗外的星星，{how}睡着了。", "第二天早上，{who}又去找{what}了。", "大家都说：谢谢你，{who}。",
    "你好，小心一点，前面有{other}。", "到了{where}，{who}数了数：一，二，三，四，五。", "故事讲完了，晚安。",
)  # fmt: skip
SENTENCES = 20
ROOM = 8.0


def stories(rng: random.Random) -> Iterator[str]:
    """Yield made-up children's stories: names and words like the wake words are all over them."""
    while True:
        who, other = rng.sample(_WHO, 2)
        yield "".join(
            rng.choice(_SAYS).format(
                who=who,
                other=other,
                where=rng.choice(_WHERE),
                what=rng.choice(_WHAT),
                how=rng.choice(_HOW),
            )
            for _ in range(SENTENCES)
        )


def book(path: Path, rng: random.Random) -> Iterator[str]:
    """Yield three lines of a text at a time, in an order of chance; only its Chinese."""
    lines = [
        "".join(c for c in line if "\u4e00" <= c <= "\u9fff" or c in "，。！？")[:150]
        for line in path.read_text("utf-8", "replace").splitlines()
    ]
    lines = [line for line in lines if len(line) > 15]
    rng.shuffle(lines)
    for at in range(0, len(lines) - 2, 3):
        yield "。".join(lines[at : at + 3])


def speak(out: Path, texts: Iterator[str], hours: float, rng: random.Random) -> None:
    """Store the points of so many hours of speech."""
    embedder, points, seconds = _embedder(), array.array("f"), 0.0
    for text in texts:
        if seconds >= hours * 3600:
            break
        manner = ("-v", f"cmn-latn-pinyin+{rng.choice(VOICES)}", "-p", str(rng.randint(20, 95)))
        rate = ("-s", str(rng.choice((110, 120, 130, 145, 160))))
        sound = in_room(
            text, *manner, *rate, gain=10 ** rng.uniform(-1, 0), noise=rng.choice((2, 10, 40))
        )
        embedder.reset()
        for point in embedder.add(sound):
            points.extend(point)
        seconds += len(sound) / 2 / RATE
        print(f"{seconds / 3600:.2f} h", end="\r", file=sys.stderr)
    np.save(out, np.frombuffer(points, np.float32).reshape(-1, SIZE).astype(np.float16))


def in_room(
    text: str,
    *options: str,
    gain: float = 0.5,
    noise: float = ROOM,
    seed: int = 1,
    around: float = 0.0,
) -> bytes:
    """Return a sentence in a room with this noise, ``around`` seconds of it on both sides."""
    spoken = np.frombuffer(sound_of(text, RATE, *options).samples, np.int16) * gain
    rng = np.random.default_rng(seed)
    side = round(around * RATE) + (int(rng.integers(0, 1280)) if around else 0)
    padded = np.pad(spoken, (side, side))
    heard = np.clip(padded + rng.normal(0, noise, len(padded)), -32768, 32767)
    return bytes(heard.astype(np.int16).tobytes())


def _embedder() -> Embedder:
    folder = find_models()
    if isinstance(folder, Missing):
        sys.exit(folder.reason)
    return Embedder(folder)


def record(embedder: Embedder, text: str) -> list[Take]:
    """Return the takes of a family."""
    takes = []
    for number, manner in enumerate(ENROLLED):
        sound = in_room(text, *manner, seed=number, around=1.0)
        embedder.reset()
        takes.append(take_of(embedder.add(sound), find_word(sound)))
    return takes


def heard(
    embedder: Embedder,
    trial: Trial,
    text: str,
    manners: Sequence[Sequence[str]],
    snr: float | None = None,
) -> str:
    """Return of how many clips in how many the word was heard; ``snr`` dB of white noise beside it."""
    count = 0
    for number, manner in enumerate(manners):
        clean = np.frombuffer(in_room(text, *manner, noise=0, gain=0.4), np.int16).astype(float)
        level = ROOM if snr is None else float(np.sqrt(np.mean(clean**2))) / 10 ** (snr / 20)
        sound = in_room(text, *manner, gain=0.4, noise=level, seed=500 + number, around=0.8)
        embedder.reset()
        count += trial.is_heard_in(embedder.add(sound))
    return f"{count} / {len(manners)}"


def card(embedder: Embedder, text: str, files: Sequence[Path]) -> str:
    """Return one row of the table."""
    takes = record(embedder, text)
    syllables = lazy_pinyin(text, style=Style.TONE3, neutral_tone_with_five=True)
    word, made = learn(text, takes, near_points(embedder, syllables), embedder)
    trial, near = Trial(embedder, word), made.near
    taken = [f"{name} {hit}/{total}" for name, (hit, total) in near.items() if hit]
    seen = shares(files, word.templates)
    row = [
        text, f"{made.recalled} / {made.spoken}", heard(embedder, trial, text, AGAIN), heard(embedder, trial, text, AGAIN, 10.0),
        heard(embedder, trial, text, STRANGERS), str(count_hits(seen)), str(count_hits(seen / NEAR)), f"{seen.min():.2f}",
        f"{sum(h for h, _ in near.values())} / {sum(t for _, t in near.values())}", ", ".join(taken) or "none",
        ", ".join(common_like(syllables)) or "none",
        f"{min(t.threshold for t in word.templates):.3f}-{max(t.threshold for t in word.templates):.3f}",
    ]  # fmt: skip
    return "| " + " | ".join(row) + " |"


def main() -> int:
    """Speak, or print cards."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["speak", "cards"])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument(
        "--text", type=Path, help="a text in Chinese; without it, stories are made up"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--words", nargs="*", default=WORDS)
    options = parser.parse_args()
    if options.what == "speak":
        rng = random.Random(options.seed)
        texts = stories(rng) if options.text is None else book(options.text, rng)
        speak(options.files[0], texts, options.hours, rng)
        return 0
    steps = sum(len(np.load(path, mmap_mode="r")) for path in options.files)
    print(f"{steps * 0.08 / 3600:.2f} h of other speech", flush=True)
    embedder = _embedder()
    for text in options.words:
        print(card(embedder, text, options.files), flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"espeak-ng: {error}")
