"""What the cloud refuses is said in Chinese too (static/js/refusals.js); English stays as the cloud says it."""

# ruff: noqa: RUF001  # Chinese sentences have Chinese commas
from __future__ import annotations

import pytest

from tests.staging.console.page import Page
from wire.datapoints import parse_description
from wire.errors import FieldError, MissingFieldError, WireError
from wire.names import check_product
from wire.ota import version_key
from wire.text import parse_text

POINT = {"name": "x", "resourceType": "", "type": "int", "label": "", "description": "", "uri": "/x",
         "protocol": ["COAP"], "method": ["GET"]}  # fmt: skip


def refusal_of_pattern(**pattern: object) -> str:
    with pytest.raises(WireError) as caught:
        parse_description(POINT | {"pattern": pattern})
    return str(caught.value)


def refusal(check: object, *arguments: object) -> str:
    with pytest.raises(WireError) as caught:
        check(*arguments)  # type: ignore[operator]
    return str(caught.value)


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
    }
    script = """
      const [texts, done] = arguments;
      import('/console/static/js/refusals.js').then(({ inChinese }) => done(texts.map(inChinese)))"""
    found = page.browser.execute_async_script(script, list(texts))
    for said, expected in zip(found, texts.values(), strict=True):
        assert said.startswith(expected), said
        assert "9223372036854775807" not in said
