"""Sources are read while the collector waits, and it goes on after them."""

from __future__ import annotations

import ast
import gc
from collections.abc import Callable
from typing import Any

import pytest

from tools.syntax import parse


def test_the_collector_waits_while_a_source_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    whole: Callable[..., ast.Module] = ast.parse

    def watched(*arguments: Any) -> ast.Module:
        seen.append(gc.isenabled())
        return whole(*arguments)

    monkeypatch.setattr(ast, "parse", watched)
    assert ast.unparse(parse("x = 1")) == "x = 1"
    with pytest.raises(SyntaxError, match="house"):
        parse("x =", "house.py")
    assert (seen, gc.isenabled()) == ([False, False], True)
