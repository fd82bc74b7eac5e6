"""What ``story-agent status`` shows a person, in Chinese or English: decided from the agent's JSON, without I/O."""

from __future__ import annotations

from collections.abc import Mapping

from agent.words import ZH, Words, say, spoken
from agent.words.causes import explain
from agent.words.remedies import remedy_of

ONLINE = "online"
# Names of members in Chinese; in English they are shown as they are.
_NAMES: Mapping[str, str] = {
    "version": "版本", "code": "程序", "uuid": "设备", "link": "链接", "server": "服务器", "state": "状态",
    "last_error": "最后的错误", "phase": "阶段", "remedy": "怎么办", "warning": "警告", "tries": "尝试次数",
    "online_seconds": "在线秒数", "next_try_seconds": "几秒后再试", "outbox": "待发报告", "waiting": "等待",
    "in_memory": "只在内存", "dropped": "已丢弃", "damaged": "已损坏", "missing": "已缺失", "trouble": "故障",
    "faults": "故障", "home_network": "家庭网络", "update": "升级", "running": "运行版本", "onTrial": "试用中", "transaction": "编号",
    "step": "步骤", "percent": "进度", "failure": "失败原因", "left": "放弃的版本", "play": "播放", "title": "标题", "position": "位置（秒）",
    "length": "长度（秒）", "index": "第几个", "count": "共几个", "source": "来源", "queue": "队列",
    "seconds": "秒", "mode": "模式", "skipped": "跳过的", "listening": "聆听", "buttons": "按键", "sounds": "提示音",
    "times": "作息", "sleepTimer": "睡眠定时", "rules": "规则", "resources": "数据点", "setup": "待设置",
    "outdated": "已过时", "microphone": "麦克风", "last": "上一次", "end": "结果", "segments": "段数", "answered": "有回答",
    "fading": "渐弱", "playedMinutes": "已播分钟", "timeIsKnown": "知道时间", "volume": "音量", "switch": "关机", "power": "电量",
    "player": "播放器", "play_mode": "播放方式", "sleep_timer": "睡眠定时", "volume_limits": "音量范围", "night": "夜间",
    "child_lock": "童锁", "charging": "充电", "id": "编号", "reason": "原因", "answer": "回答", "utterances": "句数",
    "lost": "断开", "told": "已提示", "opened": "打开", "spoke": "开口", "ended": "说完", "sent": "已送出",
    "first_segment": "第一段",
    "import": "启动分区", "waits_for": "等待", "file": "文件", "cause": "原因", "light": "指示灯", "wake": "唤醒词", "fault": "故障",
}  # fmt: skip
VALUES: Mapping[str, str] = {
    "True": "是", "False": "否", "idle": "空闲", "playing": "播放中", "paused": "暂停", "off": "关", "on": "开",
    "muted": "已静音", "heard": "有消息", "not heard": "启动以来没有消息", "damaged": "已损坏", "online": "在线", "connecting": "连接中", "registering": "注册中", "waiting": "等待再试",
    "stopped": "已停止", "setup": "待设置", "built in": "内建", "may be opened": "可以打开", "may listen": "可以听",
    "resolve": "域名", "connect": "连接", "tls": "TLS", "register": "注册", "serve": "使用中", "profile": "身份文件",
    "lost": "断开", "sent": "已送出", "nothing": "没有人说话", "cancelled": "已取消", "refused": "家长规则不允许",
    "settings": "设置", "order": "顺序", "all: nothing was said yet": "全部：还没有播过",
    "mpv: not started yet": "mpv：还没有启动",
    "no mixer found: volume is kept but not heard": "没有音量控制：音量只是记着",
    "power-off is not armed: the order is noted and the machine stays on": "没有启用关机：命令只是记下",
    "no battery found: power is answered as 100 (mains)": "没有电池：电量答 100（市电）",
}  # fmt: skip
# Told by the headline already, or for programs.
_HIDDEN = {"meaning", "setup"}
_STATES: Mapping[str, Words] = {
    "stopped": Words("链接还没有开始", "the link has not begun"),
    "connecting": Words("正在连接", "it is connecting"),
    "registering": Words("正在注册", "it is registering"),
    "waiting": Words("离线", "it is offline"),
}


def is_online(status: Mapping[str, object]) -> bool:
    """Return whether the agent is registered with its cloud."""
    return _member(status, "link", "state") == ONLINE


def headline(status: Mapping[str, object]) -> str:
    """Return the state in one sentence, with cause and remedy while the machine is not online."""
    setup = status.get("setup")
    if isinstance(setup, Mapping):
        waits = Words("机器还没有设置好", "the machine is not set up")
        return _sentence(say(waits), _told(setup.get("cause")), _told(setup.get("remedy")))
    state, cause, remedy = link_words(status)
    return _sentence(say(state), say(cause), say(remedy))


def link_words(status: Mapping[str, object]) -> tuple[Words, Words, Words]:
    """Return the link's state, the cause of its being so, and what to do; the latter two may be empty."""
    server = _member(status, "link", "server")
    if is_online(status):
        online = Words(f"在线，已在 {server} 注册", f"online, registered with {server}")
        return online, explain(str(_member(status, "link", "warning") or "")), remedy_of("")
    state = _STATES.get(str(_member(status, "link", "state")), Words("离线", "it is offline"))
    cause = explain(str(_member(status, "link", "last_error") or ""))
    return state, cause, remedy_of(str(_member(status, "link", "remedy") or ""))


def _told(words: object) -> str:
    return str(words.get(spoken(), "")) if isinstance(words, Mapping) else ""


def _sentence(state: str, cause: str, remedy: str) -> str:
    colon = "：" if spoken() == ZH else ": "
    head = f"{state}{colon}{cause}" if cause else state
    return f"{head}\n    → {remedy}" if remedy else head


def _member(status: Mapping[str, object], *names: str) -> object:
    value: object = status
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def lines(status: Mapping[str, object], indent: str = "") -> list[str]:
    """Render nested objects as indented ``name: value`` lines, without what is empty."""
    if "setup" in status:  # its link has the same words once more, in English
        status = {name: value for name, value in status.items() if name != "link"}
    colon = "：" if spoken() == ZH else ": "
    told: list[str] = []
    for name, value in status.items():
        if value is None or value in ("", [], {}) or name in _HIDDEN:
            continue
        shown = _NAMES.get(name, name) if spoken() == ZH else name
        if name == "import" and isinstance(value, Mapping):
            told.append(f"{indent}{shown}{colon}{_sentence(_told(value.get('cause')), '', _told(value.get('remedy')))}")  # fmt: skip
        elif isinstance(value, Mapping):
            members = _explained(value) if name == "faults" else value
            told += [f"{indent}{shown}{colon.rstrip()}", *lines(members, indent + "  ")]
        else:
            told.append(f"{indent}{shown}{colon}{_value(name, value)}")
    return told


def _explained(faults: Mapping[str, object]) -> dict[str, object]:
    return {name: say(explain(str(text))) for name, text in faults.items()}


def _value(name: str, value: object) -> str:
    text = str(value)
    if name == "remedy":
        return say(remedy_of(text))
    if spoken() == ZH and text in VALUES:
        return VALUES[text]
    return say(explain(text)) if name in {"last_error", "warning", "trouble", "fault"} else text


def render(status: Mapping[str, object]) -> str:
    """Return the headline and everything that the agent tells."""
    return "\n".join([headline(status), *lines(status)])
