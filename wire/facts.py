"""Small frozen values whose classes cost nothing to make.

`dataclasses` compiles five methods for each class, 0.3 ms on a PC and several times that on a small Pi:
twenty events and orders would make the agent's start 10 ms later. Here the methods are written once, and
type checkers treat the classes as frozen dataclasses all the same (PEP 681).
"""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn, dataclass_transform


@dataclass_transform(frozen_default=True)
class Fact:
    """The base class: a subclass's annotations are its members, those with a value may be left out."""

    members: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        cls.members = tuple(cls.__dict__.get("__annotations__", ()))  # noqa: RUF063  # no import of inspect
        type.__setattr__(cls, "__match_args__", cls.members)

    def __init__(self, *values: Any, **named: Any) -> None:
        if len(values) > len(self.members):
            raise TypeError(f"{type(self).__name__}: expected at most {len(self.members)} members")
        given = dict(zip(self.members, values, strict=False))
        if wrong := (given.keys() & named) | (named.keys() - set(self.members)):
            raise TypeError(f"{type(self).__name__}: {', '.join(wrong)}: unknown or given twice")
        given |= named
        for name in self.members:
            if name not in given and not hasattr(type(self), name):
                raise TypeError(f"{type(self).__name__}: {name} is missing")
        self.__dict__.update(given)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be changed")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.members)
        return f"{type(self).__name__}({shown})"

    def _values(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.members)
