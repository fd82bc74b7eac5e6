"""The JSON Schema of agent.toml, made from what reads it: `agent.settings`' classes and `agent.settings_values`' limits."""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_type_hints

from agent.config.origins import plain
from agent.settings import TABLES, Settings
from agent.settings_values import FORMS, LIMITS, NOT_EMPTY, PRODUCT, is_enum
from wire.names import NAME_MAX

DIALECT = "https://json-schema.org/draft/2020-12/schema"
# As `wire.text.is_printable`: no control characters.
PRINTABLE = r"^[^\x00-\x1f\x7f]*$"


def build_schema() -> dict[str, Any]:
    """Return the schema of the whole file. Strings with a form of their own are described, not checked, by it."""
    return {
        "$schema": DIALECT,
        "title": "agent.toml",
        "description": _sentence(Settings.__doc__),
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _table(name, kind) for name, kind in TABLES.items()},
    }


def _table(table: str, kind: type[Any]) -> dict[str, Any]:
    types, texts, values = get_type_hints(kind), _descriptions(kind), kind()
    members: dict[str, Any] = {}
    for member in fields(kind):
        name = f"{table}.{member.name}"
        told = _member(name, types[member.name])
        if member.default is not MISSING or member.default_factory is not MISSING:
            told["default"] = plain(getattr(values, member.name))
        if text := texts.get(member.name):
            told["description"] = text
        members[member.name] = told
    return {
        "type": "object", "description": _sentence(kind.__doc__), "additionalProperties": False,
        "properties": members,
    }  # fmt: skip


def _member(name: str, kind: type[Any]) -> dict[str, Any]:
    if kind is bool:
        return {"type": "boolean"}
    if kind in (int, float):
        low, high = LIMITS[name]
        return {
            "type": "integer" if kind is int else "number", "minimum": low, "maximum": high,
        }  # fmt: skip
    if is_enum(kind):
        return {"type": "string", "enum": [str(value) for value in kind]}
    if kind is Path:
        return {"type": "string", "minLength": 1, "pattern": PRINTABLE}
    if kind is str:
        told: dict[str, Any] = {"type": "string", "pattern": PRINTABLE}
        if name in NOT_EMPTY:
            told["minLength"] = 1
        if name == PRODUCT:
            told["maxLength"] = NAME_MAX
        return told if name not in FORMS else {"type": "string"}
    return {"type": "array", "items": {"type": "string"}}


def _descriptions(kind: type[Any]) -> dict[str, str]:
    """Return the docstrings of a class's members, "" for none; nothing where the source is not installed."""
    try:
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    except (OSError, TypeError, SyntaxError):
        return {}
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    told: dict[str, str] = {}
    for node, after in itertools.pairwise(body):
        if (
            isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
            and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        ):  # fmt: skip
            told[node.target.id] = _sentence(str(after.value.value))
    return told


def _sentence(text: str | None) -> str:
    return " ".join((text or "").replace("``", "").split())
