"""The changed copies of a module's source that `tools.mutation` runs: one place each, found in its syntax tree."""

from __future__ import annotations

import ast
import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tools.syntax import parse

_TURNED: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
# Times and sizes are tried a thousand times as large, a limit that nobody meets; and as small, which nothing should fit in.
FACTOR = 1000
_LARGER, _SMALLER = f"is {FACTOR} times as large", f"is a {FACTOR}th"
# Kinds of which every place in the product is tried, each with a pattern of its changes; "asyncio" and PostgreSQL's pipeline sync no disk.
KINDS: Mapping[str, str] = {
    "sync": "left out: .*(?<!a)(?<!pipeline_)sync",
    "numbers": _LARGER,
    "smaller": _SMALLER,
    "locks": "has no lock: |has no context: (?!.*BlockingIOError).*lock",
}
_LOCKS = {"Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# A default that means none, one, or "the other way" is no limit.
_PLAIN = {0, 1, -1}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed place: file, line, what was done there, and the changed source.

    ``lines``: those of which a test runs one if it runs the place; none: it is run when the module is imported.
    """

    file: str
    line: int
    change: str
    source: str
    lines: range = range(0)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place that can be changed: its file, its number in the walk through the syntax tree, and what would be done."""

    file: str
    index: int
    change: str


def places(file: str, source: str, pattern: str | None = None) -> Iterator[Place]:
    """Yield the places of a module whose change has ``pattern``, a regular expression, in it.

    None: all but smaller numbers, which tell little of a limit that the larger ones do not.
    """
    wanted = re.compile(f"^(?!.*{_SMALLER})" if pattern is None else pattern)
    tree = parse(source)
    locks = _lock_names(tree)
    for index, node in enumerate(ast.walk(tree)):
        for change in _changes(node, locks):
            if wanted.search(change) is not None:
                yield Place(file, index, change)


def changed(place: Place, source: str) -> Mutant:
    """Return the mutant of a place in a module's source."""
    tree = parse(source)
    called = _called(tree)
    node = next(one for at, one in enumerate(ast.walk(tree)) if at == place.index)
    lines = _lines(node, place.change)
    runs = lines if id(node) in called else range(0)
    _apply(tree, node, place.change)
    text = ast.unparse(ast.fix_missing_locations(tree))
    return Mutant(place.file, lines.start, place.change, text, runs)


def mutants(file: str, source: str, pattern: str | None = None) -> Iterator[Mutant]:
    """Yield the mutants of a module; see `places`."""
    for place in places(file, source, pattern):
        yield changed(place, source)


def _called(tree: ast.Module) -> set[int]:
    """Return the ids of the nodes that a call runs, and not the import of the module."""
    functions = [one for one in ast.walk(tree) if isinstance(one, _FUNCTIONS)]
    return {id(node) for function in functions for part in function.body for node in ast.walk(part)}


def _lines(node: ast.AST, change: str) -> range:
    """Return the lines of a place; a block's are those of its head."""
    head: Any = node
    match node:
        case ast.If() | ast.While():
            head = node.test
        case ast.With() | ast.AsyncWith():
            head = _left_out(node, change).context_expr
        case ast.arguments():
            head = _defaults(node)[change.partition(" ")[0]]
        case ast.Assign() if change.endswith((_LARGER, _SMALLER)):
            head = _constants(node)[change.partition(" ")[0]]
    return range(head.lineno, head.end_lineno + 1)


def _lock_names(tree: ast.Module) -> frozenset[str]:
    """Return what a module calls its locks, whatever their names say: `_gate` is one where an `asyncio.Lock()` is assigned to it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            made = ast.unparse(node.value.func).rpartition(".")[2]
            if made in _LOCKS:
                found |= {_last_name(target) for target in node.targets}
    return frozenset(found)


def _last_name(node: ast.expr) -> str:
    return ast.unparse(node).rpartition(".")[2]


def _changes(node: ast.AST, locks: Container[str]) -> list[str]:
    """Return what can be done to a node, in words; ``locks``: names of locks."""
    found: list[str] = []
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in _TURNED:
            found = [f"{type(operator).__name__} becomes {_TURNED[type(operator)].__name__}"]
        case ast.If() | ast.While():
            found = ["the condition is turned"]
        case ast.BoolOp(op=operator):
            found = ["and becomes or" if isinstance(operator, ast.And) else "or becomes and"]
        case ast.Raise():
            found = ["nothing is raised"]
        case ast.Expr(value=ast.Call() | ast.Await() as value):
            found = [f"the call is left out: {ast.unparse(value).splitlines()[0][:60]}"]
        case ast.With() | ast.AsyncWith():
            found = [_without(one, locks) for one in node.items if one.optional_vars is None]
        case ast.Assign():
            found = [change for name in _constants(node) for change in _sizes(name)]
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            found = _sizes(name) if _is_number(value) else []
        case ast.arguments():
            found = [change for name in _defaults(node) for change in _sizes(name)]
    return found


def _without(item: ast.withitem, locks: Container[str]) -> str:
    """Return in words that a block lacks one of its contexts."""
    kind = "lock" if _last_name(item.context_expr) in locks else "context"
    return f"the block has no {kind}: {_shown(item)}"


def _shown(item: ast.withitem) -> str:
    return ast.unparse(item.context_expr).splitlines()[0][:60]


def _left_out(node: ast.With | ast.AsyncWith, change: str) -> ast.withitem:
    """Return the context that a change leaves out."""
    return next(one for one in node.items if change.partition(": ")[2] == _shown(one))


def _constants(node: ast.Assign) -> dict[str, ast.expr]:
    """Return the constants that an assignment gives a number, also side by side: ``A, B = 1.0, 2.0``."""
    match node:
        case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
            pairs = list(zip(names, values, strict=len(names) == len(values)))
        case ast.Assign(targets=[name]):
            pairs = [(name, node.value)]
        case _:
            pairs = []
    return {
        name.id: value
        for name, value in pairs
        if isinstance(name, ast.Name) and name.id.isupper() and _is_number(value)
    }


def _sizes(name: str) -> list[str]:
    return [f"{name} {_LARGER}", f"{name} {_SMALLER}"]


def _is_number(node: ast.expr) -> bool:
    """Return whether an expression is made of numbers alone, and is a limit."""
    if isinstance(node, ast.UnaryOp):
        return _is_number(node.operand)
    if isinstance(node, ast.BinOp):
        return all(
            isinstance(one, ast.Constant | ast.BinOp | ast.operator) for one in ast.walk(node)
        )
    if not isinstance(node, ast.Constant):
        return False
    return type(node.value) in {int, float} and node.value not in _PLAIN


def _defaults(node: ast.arguments) -> dict[str, ast.expr]:
    """Return the parameters that have a number as their default."""
    places = [*node.posonlyargs, *node.args]
    pairs = [
        *zip(places[len(places) - len(node.defaults) :], node.defaults, strict=True),
        *zip(node.kwonlyargs, node.kw_defaults, strict=True),
    ]
    return {name.arg: value for name, value in pairs if value is not None and _is_number(value)}


def _resized(value: ast.expr, change: str) -> ast.expr:
    """Return a number a thousand times as large, or a thousandth of the same type that is not zero."""
    if change.endswith(_LARGER):
        return ast.BinOp(value, ast.Mult(), ast.Constant(FACTOR))
    number = eval(ast.unparse(value), {"__builtins__": {}})  # noqa: S307  # an expression of numbers
    whole = isinstance(number, int)
    return ast.Constant((number // FACTOR or 1) if whole else number / FACTOR)


def _apply(tree: ast.Module, node: ast.AST, change: str) -> None:
    match node:
        case ast.Compare():
            node.ops = [_TURNED[type(node.ops[0])]()]
        case ast.If() | ast.While():
            node.test = ast.UnaryOp(ast.Not(), node.test)
        case ast.BoolOp():
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        case ast.Raise() | ast.Expr():
            _replace(tree, node, [ast.Pass()])
        case ast.With() | ast.AsyncWith():
            node.items.remove(_left_out(node, change))
            if not node.items:
                _replace(tree, node, node.body)
        case ast.Assign():
            _give(node, change)
        case ast.AnnAssign(value=ast.expr() as value):
            node.value = _resized(value, change)
        case ast.arguments():
            default = _defaults(node)[change.partition(" ")[0]]
            new = _resized(default, change)
            node.defaults = [new if one is default else one for one in node.defaults]
            node.kw_defaults = [new if one is default else one for one in node.kw_defaults]
        case _:
            raise ValueError(change)


def _give(node: ast.Assign, change: str) -> None:
    """Give one constant of an assignment another number."""
    old = _constants(node)[change.partition(" ")[0]]
    new = _resized(old, change)
    if isinstance(node.value, ast.Tuple):
        node.value.elts[node.value.elts.index(old)] = new
    else:
        node.value = new


def _replace(tree: ast.Module, old: ast.AST, new: list[ast.stmt]) -> None:
    for parent in ast.walk(tree):
        for _name, children in ast.iter_fields(parent):
            if isinstance(children, list) and old in children:
                at = children.index(old)
                children[at : at + 1] = new
                return
