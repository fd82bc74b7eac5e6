"""What the cloud refuses is said in Chinese too (static/js/refusals.js); English stays as the cloud says it."""

# ruff: noqa: RUF001  # Chinese sentences have Chinese commas
from __future__ import annotations

import gzip
import io
import tarfile

import pytest

from ota.errors import ContentError
from ota.install.package import open_package, read_first_info
from staging.rollouts import phases, settings
from staging.rollouts.decision import Act, State, check_act
from staging.store import bulk, webhooks
from staging.store.device_query import parse, parse_tag
from tests.staging.console.page import Page
from wire.datapoints import parse_description
from wire.errors import FieldError, MissingFieldError, WireError
from wire.names import check_product
from wire.ota import OtaEvent, OtaEventReport, version_key
from wire.text import parse_text
from wire.utterance_times import NO_UTTERANCE, UtteranceTimes

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
OF_DEVICE_LIMIT = 20


POINT = {"name": "x", "resourceType": "", "type": "int", "label": "", "description": "", "uri": "/x",
         "protocol": ["COAP"], "method": ["GET"]}  # fmt: skip


def refusal_of_pattern(**pattern: object) -> str:
    with pytest.raises(WireError) as caught:
        parse_description(POINT | {"pattern": pattern})
    return str(caught.value)


def fleet() -> dict[str, str]:
    """Return refusals of rollouts, bulk steps, tags, lists and webhooks, and how each begins in Chinese."""
    return {
        refusal(phases.parse, []): "阶段：得到 []，应为1 到 20 个阶段",
        refusal(phases.parse, ["5%", "1%"]): '第 2 阶段：得到 "1%"，应为大于 5% 的比例',
        refusal(phases.parse, ["101%"]): '第 1 阶段：得到 "101%"，应为大于 0%、至多 100% 的比例',
        refusal(phases.parse, ["all"]): '第 1 阶段：得到 "all"，应为阶段，如 10%、batch:批次号',
        refusal(settings.check, {"soak": -1}): "观察时间（秒）：得到 -1，应为0 到 5184000 的整数",
        refusal(
            settings.check, {"chance": 20, "failing": 2}
        ): "好版本偶然失败（%）：得到 20.0，应为小于",
        refusal(
            check_act, Act.RESUME, State.DRAFT
        ): '状态：得到 "DRAFT"，应为已发布或已暂停或已自动停止，才能继续',
        refusal(bulk.parse_step, "paint", None, [], []): '操作：得到 "paint"，应为以下之一',
        refusal(bulk.parse_step, "tag", None, [], []): "标签：得到 []，应为要添加或去掉的标签",
        refusal(bulk.parse_step, "tag", None, ["A"], ["a"]): "标签：得到 ",
        refusal(bulk.parse_step, "bind", 1, [], []): "版本：得到 1，应为选一个版本",
        refusal(parse_tag, "a;b"): '标签：得到 "a;b"，应为不含逗号和分号',
        refusal(parse, {"colour": ["red"]}): '筛选条件：得到 "colour"，应为以下之一',
        refusal(parse, {"q": ["a " * 9]}): "搜索：得到 ",
        refusal(
            webhooks.check_url, "http://a"
        ): '地址：得到 "http://a"，应为以 https 开头、带主机的地址，至多 1000',
        f"tags: the device would have 21, expected at most {OF_DEVICE_LIMIT}": "这台设备会有 21 个标签",
        "phases[1]: batch 0009: the product has none": "第 2 阶段：产品没有批次 0009",
        "strategy 3: it is PUBLISHED without phases, for all of its devices; add another strategy "
        "for the phases": "策略 3 已发布，没有分阶段",
        "preview 00ff: there is none any more; make another one": "预览已失效",
        "webhook 7: it is off, expected one that is on": "这个地址已关闭",
        "a.example:443: nothing listens there, expected a server with HTTPS": "a.example:443 拒绝连接",
        "webhook 7: there is none": "没有这个对象：Webhook 7",
    }


def refusal(check: object, *arguments: object) -> str:
    with pytest.raises(WireError) as caught:
        check(*arguments)  # type: ignore[operator]
    return str(caught.value)


def test_reports_that_are_objects_are_in_words(page: Page) -> None:
    script = """
      const [reports, done] = arguments;
      import('/console/static/js/events.js').then(({ reportedText }) => done(reports.map((report) => reportedText(...report))))"""
    reports = (
        ("utterance_times", UtteranceTimes(3, "sent", {"began": 0.5, "sent": 2, "answered": 3.25}).to_json()),
        ("utterance_times", UtteranceTimes(4, "lost", {"opened": 0.1}).to_json()),
        ("utterance_times", UtteranceTimes(NO_UTTERANCE, "fault", {}).to_json()),
        ("ota_event", OtaEventReport("1", OtaEvent.DOWNLOADING, percent=0.5).to_json()),
        ("ota_event", OtaEventReport("1", OtaEvent.REJECT, "no link").to_json()),
        ("device_trouble", {"part": "outbox", "text": "outbox full"}),
        ("ota_log", {"transaction": "1", "version": "1.1.0", "lines": ["starts", "no player"]}),
        ("ota_log", {"transaction": "1", "version": "1.1.0", "lines": []}),
        ("ota_event", "odd"),
        ("device_trouble", None),
        ("power", 4),
    )  # fmt: skip
    assert page.browser.execute_async_script(script, reports) == [
        "how utterance 3 went · Speech begins 0.5 s · Device answered 3.3 s",
        "utterance 4 did not reach the cloud · Microphone open 0.1 s",
        "the microphone failed; nothing was recorded",
        "Downloading · 50%",
        "The device refused it · no link",
        "Something is wrong with the machine: outbox full",
        "the log of version 1.1.0 (2 lines), which ends: no player",
        "the log of version 1.1.0 (0 lines), which ends: ",
        None,
        None,
        None,
    ]


def test_other_objects_are_shown_by_their_members(page: Page) -> None:
    script = """
      const [values, done] = arguments;
      import('/console/static/js/events.js').then(({ membersText }) => done(values.map(membersText)))"""
    values: tuple[object, ...] = (
        {"level": 3, "on": [1, {"a": None}], "room": "nursery"},
        {},
        [1, 2],
        None,
        4,
        "text",
        True,
    )
    shown = page.browser.execute_async_script(script, values)
    assert shown == [
        'level: 3 · on: [1,{"a":null}] · room: nursery',
        "",
        "[1,2]",
        "null",
        "4",
        "text",
        "true",
    ]


def broken_packages() -> dict[str, str]:
    """Return what `ota.install` says of bytes that are no package, and how it begins in Chinese."""
    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("a.txt"))
    whole = tarred.getvalue()
    return {
        refusal_of_package(b"text"): "不是 gzip 压缩的文件",
        "Compressed file ended before the end-of-stream marker was reached": "文件不完整",
        "Error -3 while decompressing data: invalid distance too far back": "压缩的数据已损坏",
        refusal_of_package(gzip.compress(b"x" * 600)): "压缩包里不是完整的 tar",
        refusal_of_package(gzip.compress(bytes(1024))): "里面没有文件，应有 release.json",
        refusal_of_package(whole): "第一个文件是 a.txt，应为 release.json",
        "holds 5 bytes, release.json says 6": "内容有 5 字节，release.json 写的是 6",
        "member '../x': a way out of the release": "文件 '../x'：路径离开了固件目录",
        "package too big: more than 5 bytes unpacked": "解压后太大",
    }


def refusal_of_package(data: bytes) -> str:
    read = io.BufferedReader(io.BytesIO(data))
    with pytest.raises(ContentError) as caught, open_package(read, 10_000) as tar:  # type: ignore[arg-type]  # a file, says typeshed
        read_first_info(tar)
    return str(caught.value).partition(": ")[2]


def test_refusals_are_in_chinese(page: Page) -> None:
    texts = {
        refusal_of_pattern(min=5, max=3): "最大：得到 3，应为不小于最小值 5",
        refusal_of_pattern(min=0, max="x"): '最大：得到 "x"，应为64 位整数',
        refusal_of_pattern(min=0, max=1, step=0): "步长：得到 0，应为至少为 1 的整数",
        refusal(
            parse_text, "name", " ", 64
        ): '名称：得到 " "，应为1 到 64 个可显示的字符，不能全是空白',
        refusal(check_product, "a//b", "name"): '名称：得到 "a//b"，应为文字和数字',
        refusal(version_key, "x"): '版本：得到 "x"，应为用点分隔的数字',
        str(MissingFieldError("name", "text")): "名称：没有填写，应为 text",
        str(FieldError("odd", 1, "something new")): "odd：得到 1，应为 something new",
        "batch 0001: the product has one already": "批次 0001 已存在",
        "nobody knows this": "nobody knows this",
        **broken_packages(),
        **fleet(),
    }
    script = """
      const [texts, done] = arguments;
      import('/console/static/js/refusals.js').then(({ inChinese }) => done(texts.map(inChinese)))"""
    found = page.browser.execute_async_script(script, list(texts))
    for said, expected in zip(found, texts.values(), strict=True):
        assert said.startswith(expected), said
        assert "9223372036854775807" not in said
