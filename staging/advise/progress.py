"""How far a run is, in words for a person and as lines for the console's desk (`staging.advise.desk`)."""

from __future__ import annotations

from typing import Any

from staging.advise.bench import Paper
from staging.advise.cases.model import Case
from staging.advise.checks.model import Text
from staging.advise.runner import Progress, Result

_PAPERS_ZH = {
    Paper.EXPIRED: "已过期", Paper.FUTURE: "还没生效", Paper.HOST: "别的主机的",
    Paper.AUTHORITY: "别的 CA 签的", Paper.BESIDE: "别的 CA 签的，旁边放着正确的 CA", Paper.SELF_SIGNED: "自签的",
    Paper.CLIENT: "只能用于客户端的", Paper.LONG: "正确，夹在十二张之中",
}  # fmt: skip
# What is done in each case, by its name; a case says it in English itself.
SAYS_ZH = {
    "describe": "自描述", "sweep": "每个数据点的每种值", "repeats": "重复的报文", "burst": "十六个请求同时来", "times": "往返时间",
    "terms": "过期和重复的命令", "frames": "各种切法的帧", "messages": "对端该忽略的报文", "over-long": "一个 1 GB 的帧",
    "wrong magic": "错误的 magic", "register": "注册", "cuts": "连接被切断", "quiet": "安静的两分钟", "restarts": "云端重启五次",
    "unavailable": "云端暂不接受注册", "unanswered": "注册没有回答", "half-open": "什么都不通的连接", "slow": "8 kB/s", "late": "来回两秒",
    "refused": "注册被永久拒绝", "changed": "变化的上报", "busy": "云端不收上报", "cut report": "上报的回答丢失", "old clock": "云端时钟差几年",
    "tls clear": "来的是网页，不是 TLS", "tls afterwards": "证书又对了", "orders": "不该发生的升级",
    "update lies": "说谎的仓库", "update download": "升级的下载", "update cut": "下载中断", "update page": "来的是登录页，不是升级包",
    "update redirect": "升级包在别处", "update disagreeing": "与升级包不符的命令", "update cancel": "取消升级", "update after": "所有命令之后",
    "update install": "升级到测试者的包", "speak": "有人对它说话", "muted": "静音时有人说话", "cut speech": "说话时断线",
    "killed": "在命令和上报之间 kill -9", "killed update": "在升级中 kill -9", "frozen": "进程停住", "worn": "卡上的几位翻转",
    "full": "盘满", "full start": "盘满时 kill -9", "read only": "只读的盘", "wrong clock": "时钟慢一年", "no sound": "声音服务器死掉",
    **{f"tls {version}": f"只有 TLS {version}" for version in ("1.1", "1.2", "1.3")},
    **{f"tls {paper}": f"证书：{zh}" for paper, zh in _PAPERS_ZH.items()},
}  # fmt: skip


def said(case: Case) -> Text:
    """Return what is done in a case."""
    return Text(SAYS_ZH.get(case.name, case.says), case.says)


def line_of(progress: Progress) -> dict[str, Any]:
    """Return the object of a line: ``case``, ``says``, ``number``, ``total``; ``results`` where the case has ended."""
    told: dict[str, Any] = {
        "case": progress.case.name, "says": said(progress.case)._asdict(),
        "number": progress.number, "total": progress.total,
    }  # fmt: skip
    if progress.results is not None:
        told["results"] = [_result(each) for each in progress.results]
    return told


def _result(found: Result) -> dict[str, Any]:
    return {
        "id": found.check.id,
        "title": found.check.title._asdict(),
        "verdict": str(found.verdict.grade),
        "seen": found.verdict.seen._asdict(),
    }
