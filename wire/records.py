"""`dataclass` as the standard library's, made in a quarter of its time: the agent's start makes a hundred and more.

The standard library writes and compiles up to six functions for each class. Here all classes share the code of five of them, and
only ``__init__`` is compiled. What differs: ``order``, ``kw_only``, ``unsafe_hash``, ``match_args``, a field's ``hash`` and
``InitVar`` are not there, and nothing refuses a frozen class below one that is not (docs/adr/0081).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(  # the standard library's
        cls: type | None = None, /, *,
        frozen: bool = False, slots: bool = False, eq: bool = True, repr: bool = True,  # noqa: A002
    ) -> Any:  # fmt: skip
        """Make a class a dataclass; see `dataclasses.dataclass`."""

        def make(plain: type) -> type:
            return _made(plain, frozen=frozen, slots=slots, eq=eq, shown=repr)

        return make if cls is None else make(cls)


def _made(plain: type, *, frozen: bool, slots: bool, eq: bool, shown: bool) -> type:
    own = set(plain.__dict__)
    # The standard library would make a docstring of the signature, which takes as long as all else.
    plain.__doc__ = plain.__doc__ or plain.__name__
    # A class with __eq__ and no __hash__ gets None for that from Python: it is not its own.
    if "__eq__" in own and plain.__dict__.get("__hash__") is None:
        own.discard("__hash__")
    made: type = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots)(plain)
    fields = dataclasses.fields(made)
    methods: dict[str, Any] = {"__init__": _init(made, fields, frozen=frozen)}
    if shown:
        methods["__repr__"] = _repr([field.name for field in fields if field.repr])
    if eq:
        compared = _values([field.name for field in fields if field.compare])
        methods["__eq__"] = _eq(compared)
        methods["__hash__"] = _hash(compared) if frozen else None
    if frozen:
        methods |= {"__setattr__": _refuse_change, "__delattr__": _refuse_deletion}
    if frozen and slots:
        methods |= {"__getstate__": _state, "__setstate__": _set_state}
    for name, method in methods.items():
        if name not in own:
            setattr(made, name, method)
    return made


def _init(made: type, fields: Sequence[dataclasses.Field[Any]], *, frozen: bool) -> Any:
    """Compile the class's ``__init__``."""
    names: dict[str, Any] = {_SET: object.__setattr__, _MADE: _FACTORY}
    parameters, lines = ["self"], []
    for field in fields:
        parameter, value = _part(field, names)
        parameters += [parameter] if field.init else []
        if value:
            name = field.name
            lines.append(
                f" {_SET}(self, {name!r}, {value})" if frozen else f" self.{name} = {value}"
            )
    if hasattr(made, "__post_init__"):
        lines.append(" self.__post_init__()")
    text = f"def __init__({', '.join(parameters)}):\n" + "\n".join(lines or [" pass"])
    exec(text, names)  # noqa: S102  # of the class's own field names, as the standard library does
    init = names["__init__"]
    init.__qualname__, init.__module__ = f"{made.__qualname__}.__init__", made.__module__
    init.__annotations__ = {f.name: f.type for f in fields if f.init} | {"return": None}
    return init


def _part(field: dataclasses.Field[Any], names: dict[str, Any]) -> tuple[str, str]:
    """Return a field as a parameter, and what it is set to, "" for nothing; adds to ``names`` what both use."""
    name, made, given = field.name, f"__make_{field.name}", f"__default_{field.name}"
    if field.default_factory is not dataclasses.MISSING:
        names[made] = field.default_factory
        value = f"{made}() if {name} is {_MADE} else {name}" if field.init else f"{made}()"
        return f"{name}={_MADE}", value
    if field.default is not dataclasses.MISSING:
        names[given] = field.default
        return f"{name}={given}", name if field.init else given
    return name, name if field.init else ""


class _Factory:
    """Stands for "the factory makes it" where a caller gives no value."""

    def __repr__(self) -> str:
        return "<factory>"


_FACTORY = _Factory()
# What the text of an ``__init__`` calls these: no field has such a name.
_SET, _MADE = "__set_field", "__factory_makes_it"


def _values(names: Sequence[str]) -> Callable[[object], tuple[Any, ...]]:
    """Return what reads attributes as a tuple."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda self: tuple(getattr(self, name) for name in names)


def _repr(names: Sequence[str]) -> Callable[[object], str]:
    @recursive_repr()
    def __repr__(self: object) -> str:  # noqa: N807  # it becomes a method
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({shown})"

    return __repr__


def _eq(compared: Callable[[object], tuple[Any, ...]]) -> Callable[[object, object], Any]:
    def __eq__(self: object, other: object) -> Any:  # noqa: N807  # it becomes a method
        if other.__class__ is not self.__class__:
            return NotImplemented
        return compared(self) == compared(other)

    return __eq__


def _hash(compared: Callable[[object], tuple[Any, ...]]) -> Callable[[object], int]:
    def __hash__(self: object) -> int:  # noqa: N807  # it becomes a method
        return hash(compared(self))

    return __hash__


def _state(self: Any) -> list[object]:
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _set_state(self: Any, state: Sequence[object]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)


def _refuse_change(_self: object, name: str, _value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_deletion(_self: object, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
