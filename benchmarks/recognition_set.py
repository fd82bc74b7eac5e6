"""The clips by which recognition is judged: who says what, how, beside what noise, and the wanted action.

The four splits have no voice, title, filler sentence and seed in common: what is tuned on DEVELOPMENT,
SECOND and THIRD is measured on HELD_OUT. (SECOND and THIRD were the measured ones of earlier versions.) A clip is espeak-ng
reading pinyin (`tools.speech`), as an adult or moved up as children speak (pitch and formants by
resampling, then the tempo), with or without noise, through Speex as a device sends it.
"""

from __future__ import annotations

import array
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from audio.pcm import Pcm
from audio.resample import resample
from audio.speex import SpeexEncoder, frame_samples
from audio.wav import read_wav, render_wav
from benchmarks.natural_voice import natural_voice
from staging.recognition.reassembly import Utterance
from staging.recognition.sound import decode
from tools import speech
from wire.voice import MAX_FRAMES

REFUSE = "refuse"
"""What is wanted of nonsense, near-titles and noise: nothing is asked of the device."""
# Seconds of quiet before and after the speech, as the endpointer leaves them.
LEAD, TAIL = 0.3, 0.5
CHILD_RATIOS = (1.12, 1.22, 1.32)
NOISES = ("", "", "", "white 20", "white 10", "music 20", "music 10")
SPEEDS = (95, 108, 120)
# A natural voice made several: pitch and formants moved by the first, and melody as wide as the second.
READERS = {
    "low": (0.84, 1.0), "middle": (0.92, 1.2), "lively": (1.02, 1.4), "still": (1.0, 0.7), "clear": (0.97, 1.1),
    "deep": (0.8, 1.1), "calm": (0.89, 0.8), "bright": (0.98, 1.0), "plain": (1.02, 0.9), "eager": (0.99, 1.3),
}  # fmt: skip
# Words a minute at which the natural voice is as fast as espeak-ng's.
NATURAL_SPEED = 108

COMMANDS = {
    "下一首": "next", "上一首": "previous", "暂停": "pause", "暂停播放": "pause", "继续": "resume",
    "继续播放": "resume", "停止": "stop", "停止播放": "stop", "别放了": "stop", "换一首": "next",
    "调高音量": "volume-up", "调低音量": "volume-down", "大声一点": "volume-up", "小声一点": "volume-down",
    "声音大一点": "volume-up", "声音小一点": "volume-down", "音量调到五": "volume-set 5",
    "音量调到十": "volume-set 10", "音量调到最大": "volume-set 100%", "二十分钟后停": "sleep-timer 20",
    "听完这个就停": "sleep-timer end",
}  # fmt: skip
LEADS = ("播放", "我想听", "播放", "讲一个")
WISHES = ("讲个故事", "我想听故事", "放首歌", "唱首歌")
# Of each split's titles, how many are also said alone, without a command before them.
BARE = 8

# In the catalogue of both sets, and never asked for.
COMMON_TITLES = (
    "白雪公主", "灰姑娘", "睡美人", "拇指姑娘", "海的女儿", "皇帝的新装", "豌豆公主", "坚定的锡兵", "野天鹅", "夜莺", "青蛙王子", "小红帽",
    "狼和七只小羊", "糖果屋", "渔夫和金鱼", "神笔马良", "哪吒闹海", "孙悟空大闹天宫", "嫦娥奔月", "后羿射日", "女娲补天", "精卫填海", "愚公移山",
    "司马光砸缸", "孔融让梨", "守株待兔", "刻舟求剑", "拔苗助长", "狐假虎威", "画蛇添足", "亡羊补牢", "井底之蛙", "掩耳盗铃", "自相矛盾",
    "滥竽充数", "盲人摸象", "狼来了", "龟兔赛跑", "乌鸦喝水", "狐狸和葡萄", "农夫与蛇", "蚂蚁和蟋蟀", "城里老鼠和乡下老鼠", "小马过河",
    "小蝌蚪找妈妈", "小猫钓鱼", "三个和尚", "曹冲称象", "铁杵磨成针", "闻鸡起舞", "凿壁偷光", "悬梁刺股", "囊萤映雪", "十二生肖的故事",
    "年的传说", "牛郎织女", "白蛇传", "孟姜女", "梁山伯与祝英台", "田螺姑娘", "九色鹿", "宝莲灯", "葫芦兄弟", "阿凡提的故事", "一千零一夜",
    "辛巴达航海记", "阿里巴巴和四十大盗", "阿拉丁神灯", "木偶奇遇记", "绿野仙踪", "小王子", "爱丽丝漫游仙境", "彼得潘", "柳林风声", "夏洛的网",
    "小熊维尼", "金银岛", "鲁滨逊漂流记", "格列佛游记", "汤姆索亚历险记",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Split:
    """One part of the material; nothing in it is in another part."""

    name: str
    seed: int
    adults: tuple[str, ...]
    """Variants of espeak-ng's Mandarin voice."""
    children: tuple[str, ...]
    titles: tuple[str, ...]
    near: tuple[str, ...]
    """Titles that are not in the catalogue, and resemble one that is."""
    nonsense: tuple[str, ...]
    chatter: tuple[str, ...]
    """Sentences to somebody else that contain a command's words or a verb of the machine's."""
    negated: tuple[str, ...]
    """Commands that are not wanted."""
    natural: bool = False
    """Whether `benchmarks.natural_voice` reads it; voices are then names of `READERS`."""


DEVELOPMENT = Split(
    "development", 11, ("", "+f2", "+m3", "+f4", "+m6"), ("+f3", "+m2", "+f2"),
    ("小兔子乖乖", "两只老虎", "春天在哪里", "三只小猪", "数鸭子", "世上只有妈妈好", "丑小鸭", "卖火柴的小女孩",
     "小星星", "找朋友", "拔萝卜", "小毛驴", "蜗牛与黄鹂鸟", "采蘑菇的小姑娘", "让我们荡起双桨", "小白船"),
    ("三只小羊", "两只老鼠", "秋天在哪里", "数星星", "小鸭子乖乖", "卖报纸的小男孩", "拔河歌", "小毛孩",
     "蜗牛和大灰狼", "小白马", "找妈妈", "世上只有爸爸好"),
    ("今天天气很好", "妈妈我饿了", "我们去公园玩吧", "你叫什么名字", "我不想睡觉", "爸爸什么时候回来",
     "这个苹果真好吃", "老师说明天要早点来", "快把衣服穿好", "外面下雨了"),
    ("妈妈说下一首歌很好听", "老师叫我们停止讲话", "暂停键在哪里", "我们放学了", "我昨天听了两只老虎", "他继续吃饭"),
    ("不要下一首", "别换一首", "不要调高音量", "我不要上一首"),
)  # fmt: skip
SECOND = Split(
    "second", 29, ("+f1", "+m1", "+f5", "+m4", "+m7"), ("+f1", "+m5", "+f5"),
    ("小燕子", "一分钱", "上学歌", "粉刷匠", "小螺号", "歌声与微笑", "种太阳", "外婆的澎湖湾", "虫儿飞", "泥娃娃",
     "铃儿响叮当", "小红帽的新朋友", "猴子捞月亮", "东郭先生和狼", "聪明的小裁缝", "会飞的箱子"),
    ("小鸽子", "一毛钱", "放学歌", "油漆匠", "种月亮", "外公的草原", "虫儿爬", "布娃娃", "猴子摘桃子",
     "勇敢的小裁缝", "会唱歌的箱子", "小海螺"),
    ("我要去厕所", "奶奶在做饭", "明天是星期六", "你看那边有只猫", "他把我的玩具拿走了", "牛奶已经喝完了",
     "等一会儿再说", "我的书包在哪儿", "弟弟在哭呢", "咱们回家吧"),
    ("爸爸在听新闻", "奶奶说声音大一点才听得见", "我想放风筝", "下一个路口往左走", "我们继续画画吧", "他把电视关掉了"),
    ("别下一首", "我不想换一个", "不要大声一点", "先别上一首"),
)  # fmt: skip
THIRD = Split(
    "third", 47, ("+m8", "+Andy", "+Gene", "+linda", "+max"), ("+anika", "+steph", "+Alicia"),
    ("捉泥鳅", "健康歌", "鲁冰花", "生日快乐歌", "我爱北京天安门", "让世界充满爱", "海底小纵队", "小鲤鱼跳龙门", "三毛流浪记",
     "金色的房子", "大闹龙宫", "长发公主", "聪明的一休", "巴啦啦小魔仙", "老鼠嫁女", "会说话的小石头"),
    ("捉螃蟹", "快乐歌", "鲁花冰", "我爱北京烤鸭", "海底小世界", "小鲤鱼过大桥", "三毛上学记", "银色的房子", "大闹天空",
     "短发公主", "老鼠娶亲", "会说话的小木头"),
    ("我的铅笔断了", "姐姐在写作业", "冰箱里还有牛奶吗", "今天星期几", "我肚子疼", "你把门打开", "这件衣服太大了", "我们去看电影吧",
     "小狗跑到外面去了", "晚上吃什么"),
    ("我看完上一集就睡觉", "老师说暂停一下再写", "哥哥放假了", "我们接着搭积木", "妈妈听不到你说话", "他停止了比赛"),
    ("不要上一首", "别下一个", "不想调低音量", "不用换一首"),
)  # fmt: skip
HELD_OUT = Split(
    "held-out", 71, ("+adam", "+Annie", "+Lee", "+belinda", "+pablo"), ("+Andrea", "+steph2", "+Jacky"),
    ("萤火虫的灯笼", "小小雨点", "母鸡下蛋", "劳动最光荣", "蓝精灵之歌", "外星人来了", "大头儿子小头爸爸", "喜羊羊与灰太狼",
     "国王的长耳朵", "月亮姑娘做衣裳", "雪孩子", "神奇的巧克力工厂", "猫和老鼠", "飞天小女警", "熊出没", "咕咚来了"),
    ("萤火虫的翅膀", "大大雨点", "公鸡打鸣", "劳动最快乐", "红精灵之歌", "外国人来了", "喜羊羊与小绵羊", "国王的金耳环", "太阳姑娘做衣裳",
     "雪娃娃", "狗和老鼠", "熊猫出没"),
    ("我的鞋子湿了", "爷爷去散步了", "今天晚上吃饺子", "这道题怎么做", "你的手真凉", "我想喝一杯水", "天上有好多云", "快递到门口了",
     "别踩我的脚", "幼儿园明天放假吗"),
    ("他唱完上一首就走了", "爸爸说先停一下车", "老师让我们继续写字", "把火关小一点", "我们班换了一个老师", "妹妹小声地哭了"),
    ("不要换一首", "别上一首", "不想调高音量", "不用下一个"),
)  # fmt: skip
NATURAL_TUNING = replace(
    SECOND, name="natural-tuning", seed=83, adults=("low", "middle", "lively"), children=("still", "clear"), natural=True
)  # fmt: skip
NATURAL = replace(
    HELD_OUT,
    name="natural",
    seed=97,
    adults=("deep", "calm", "bright"),
    children=("plain", "eager"),
    natural=True,
)
SPLITS = {
    split.name: split for split in (DEVELOPMENT, SECOND, THIRD, HELD_OUT, NATURAL_TUNING, NATURAL)
}


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip: what is said and how, and what must become of it."""

    number: int
    kind: str
    """``command``, ``title``, ``near``, ``nonsense``, ``noise``, ``bare``, ``wish``, ``chatter`` or ``negated``."""
    text: str
    wanted: str
    """``next``, ``play 小星星``, ``play-any``, ``volume-set 5``, …, or ``refuse``."""
    voice: str
    child: bool
    ratio: float
    """By how much pitch and formants are moved up; 1.0: not at all."""
    speed: int
    """espeak-ng's words per minute, as heard in the end."""
    noise: str
    """``white 10``: white noise at 10 dB SNR; "": none."""


def catalogue(split: Split) -> list[str]:
    """Return the titles that the device of this part has."""
    return [*COMMON_TITLES, *split.titles]


def clips(split: Split) -> list[Clip]:
    """Return the clips of one part, always the same ones."""
    rng = random.Random(split.seed)  # a choice of clips, not a secret
    return [_spoken(number, *what, split, rng) for number, what in enumerate(_said(split, rng))]


def _said(split: Split, rng: random.Random) -> Iterator[tuple[str, str, str, bool]]:
    for child in (False, True):
        for text, wanted in COMMANDS.items():
            for _ in range(2):
                yield "command", text, wanted, child
        for title in split.titles:
            for _ in range(2):
                yield "title", rng.choice(LEADS) + title, f"play {title}", child
        for title in split.near:
            yield "near", rng.choice(LEADS) + title, REFUSE, child
        for text in split.nonsense:
            yield "nonsense", text, REFUSE, child
    for _ in range(12):
        yield "noise", "", REFUSE, False
    yield from _said_otherwise(split)


def _said_otherwise(split: Split) -> Iterator[tuple[str, str, str, bool]]:
    for child in (False, True):
        for title in split.titles[:BARE]:
            yield "bare", title, f"play {title}", child
        for text in WISHES:
            yield "wish", text, "play-any", child
        for text in split.chatter:
            yield "chatter", text, REFUSE, child
        for text in split.negated:
            yield "negated", text, REFUSE, child


def _spoken(
    number: int, kind: str, text: str, wanted: str, child: bool, split: Split, rng: random.Random  # noqa: FBT001
) -> Clip:  # fmt: skip
    voice = rng.choice(split.children if child else split.adults)
    ratio = rng.choice(CHILD_RATIOS) if child else 1.0
    noise = rng.choice([n for n in NOISES if n] if kind == "noise" else NOISES)
    return Clip(number, kind, text, wanted, voice, child, ratio, rng.choice(SPEEDS), noise)


def sound_of(clip: Clip, rate: int, cache: Path) -> Pcm:
    """Return a clip as the cloud decodes it at ``rate``; made once, and kept below ``cache``."""
    path = cache / f"{clip.number:04}-{rate}.wav"
    if path.exists():
        return read_wav(path.read_bytes())
    sound = through_speex(_recorded(clip, rate))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(render_wav(sound))
    return sound


def _recorded(clip: Clip, rate: int) -> Pcm:
    voice = _natural if clip.voice in READERS else _voice
    said = array.array("h", voice(clip, rate) if clip.text else b"")
    level = 2500.0
    quiet = array.array("h", bytes(round(LEAD * rate) * 2))
    tail = array.array("h", bytes(round((TAIL if said else 2.0) * rate) * 2))
    samples = quiet + (speech.scaled(said, level) if said else said) + tail
    if clip.noise:
        name, decibels = clip.noise.split()
        count = len(samples)
        beside = (
            speech.noise(count, clip.number)
            if name == "white"
            else speech.music(count, rate, clip.number)
        )
        samples = speech.added(samples, speech.scaled(beside, level / 10 ** (int(decibels) / 20)))
    return Pcm(rate, samples.tobytes())


def _voice(clip: Clip, rate: int) -> bytes:
    """Return the speech; a child's is read slower and played faster by the same ratio."""
    speed = round(clip.speed / clip.ratio)
    read = read_wav(speech.speak(clip.text, "-s", str(speed), "-v", f"cmn-latn-pinyin{clip.voice}"))
    return resample(read.samples, round(read.rate * clip.ratio), rate)


def _natural(clip: Clip, rate: int) -> bytes:
    """Return the same of the natural voice."""
    moved, lively = READERS[clip.voice]
    ratio = clip.ratio * moved
    slower = ratio * NATURAL_SPEED / clip.speed
    read = natural_voice().say(clip.text, slower=slower, lively=lively)
    return resample(read.samples, round(read.rate * ratio), rate)


def through_speex(sound: Pcm) -> Pcm:
    """Encode and decode a sound as the device and the cloud do."""
    size = frame_samples(sound.rate) * 2
    samples = sound.samples + bytes(-len(sound.samples) % size)
    with SpeexEncoder(sound.rate) as encoder:
        frames = [encoder.encode(samples[n : n + size]) for n in range(0, len(samples), size)]
    parts = [tuple(frames[n : n + MAX_FRAMES]) for n in range(0, len(frames), MAX_FRAMES)]
    return decode(Utterance("", 0, sound.rate, tuple(parts)))
