"""What the device page says of the machine's state, in Chinese and English; its buttons' names are in ``static/words.js``."""

from __future__ import annotations

from collections.abc import Mapping

from agent.words import Words

PLAY: Mapping[str, Words] = {
    "idle": Words("没有在播放", "nothing plays"),
    "loading": Words("正在打开", "it is opening"),
    "playing": Words("正在播放", "playing"),
    "paused": Words("已暂停", "paused"),
    "waiting": Words("等待中：有人在说话，或没有声音设备", "waiting: somebody is speaking, or there is no sound device"),
}  # fmt: skip
LISTENING: Mapping[str, Words] = {
    "idle": Words("麦克风开着，现在没有在听", "the microphone may be opened; it is not listening now"),
    "muted": Words("麦克风已关，谁也打不开", "the microphone is off, and nobody can open it"),
    "other": Words("正在听", "it is listening"),
}  # fmt: skip
UPDATE: Mapping[str, Words] = {
    "CREATED": Words("收到了升级到 {version} 的命令", "an update to {version} was ordered"),
    "RUNNING": Words("正在升级到 {version}", "it updates to {version}"),
    "INSTALLED": Words("{version} 已装好，等着重启", "{version} is installed, and waits for a restart"),
    "SUCCESS": Words("上次升级成功", "the last update succeeded"),
    "FAILED": Words("上次升级到 {version} 没有成功：{failure}", "the last update to {version} failed: {failure}"),
    "trial": Words("新版本 {running} 试用中", "the new version {running} is on trial"),
    "none": Words("还没有升级过", "there was no update yet"),
}  # fmt: skip
MAINS = Words("接着电源，没有电池", "on mains, without a battery")
CHARGING = Words("{percent}%，正在充电", "{percent} %, external power is on")
BATTERY = Words("{percent}%", "{percent} %")
UNKNOWN = Words("现在读不到", "it cannot be read now")

TIMER_OFF = Words("没有定时", "no timer")
TIMER_MINUTES = Words("{amount} 分钟后停", "it stops in {amount} min")
TIMER_END = Words("这一集完了停", "it stops after this story")
TIMER_STORIES = Words("再听 {amount} 集就停", "it stops after {amount} stories")
TIMER_AT = Words("到 {value} 停", "it stops at {value}")

AWAY = Words("云不在：这台机器照常用", "The cloud is away: the machine works all the same")
GOES_ON: tuple[Words, ...] = (
    Words("卡里的故事、接着听、音量和睡眠定时", "the stories on its card, going on where you were, loudness and sleep timer"),
    Words("家长规则（安静时段、每天时长）和童锁", "the parents' rules (quiet hours, minutes a day) and the child lock"),
    Words("机器上的按键和这个网页", "the machine's buttons, and this page"),
)  # fmt: skip
WAITS: tuple[Words, ...] = (
    Words("听懂说话、用 App 控制和升级，要等云回来", "understanding speech, control from the app, and updates wait for the cloud"),
    Words("机器会一直自己再连接，不用做什么；云永远不回来，上面这些也照样能用", "it connects again by itself for as long as it takes; should the cloud never come back, what is named above stays"),
)  # fmt: skip
REPORTS = Words("{waiting} 条报告等着发给云", "{waiting} reports wait for the cloud")
DROPPED = Words("；太旧的 {dropped} 条已经丢弃", "; {dropped} that were too old were dropped")
DONE = Words("好了", "Done")

NO_TITLE = Words("{count} 个故事里没有 {name}", "none of the {count} titles is called {name}")
NOT_A_POINT = Words("这个网页不能改 {name}", "the page does not set {name}")
WRONG_TOKEN = Words(
    "不是这台机器的绑定码或令牌", "This is neither the machine's bind token nor its token"
)
TOO_MANY = Words("试得太多了，{seconds} 秒后再试", "Too many tries; the next one in {seconds} s")
LOGGED_OUT = Words("请先登录", "Please log in")
NO_PICTURE = Words(
    "没有安装 segno，画不了二维码：请在 App 里输入这两个值",
    "segno is not installed, so there is no QR code: type the two values into the app",
)
BUSY = Words("机器没有及时回答", "the machine did not answer in time")

WHY: Mapping[str, Words] = {
    "button": Words("按了说话键", "the talk button"),
    "word": Words("听到唤醒词", "the wake word"),
    "command": Words("在机器上用命令打开", "a command on the machine"),
    "cloud": Words("云打开的（设置允许）", "the cloud, as the settings allow"),
    "file": Words("送出一个声音文件，没有开麦克风", "a sound from a file, without the microphone"),
}
SENT = Words(
    "送出 {seconds} 秒，{bytes} 字节，到 {to}", "{seconds} s of speech, {bytes} bytes, to {to}"
)
NOT_SENT = Words("没有送出声音", "no sound left the machine")
OPEN = Words("麦克风开了 {open} 秒", "the microphone was open for {open} s")
DELETED = Words("{date} 由云自动删除", "the cloud deletes it on {date}")
KEPT = Words("云一直保留，直到有人抹掉", "the cloud keeps it until somebody erases it")
NOT_TOLD = Words("云没有说保留多久", "the cloud has not said how long it keeps it")
ERASED = Words("{date} 已抹掉", "erased on {date}")
ERASE_WAITS = Words(
    "等着抹掉：云回来后自动进行", "waits to be erased: it is done when the cloud is there"
)
NO_ENTRY = Words("没有这一条", "There is no such entry")
NOT_A_NUMBER = Words("要的是条目的号码", "Expected numbers of entries")
