"""Records are what the standard library's dataclasses are, in all that this project uses of them."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from dataclasses import field
from typing import TYPE_CHECKING, Any

import pytest

from wire import records

if TYPE_CHECKING:
    from collections.abc import Callable

# mypy takes the one for the other, which is what it is for; here they are compared.
MAKERS: dict[str, Any] = {"standard": dataclasses.dataclass, "ours": records.dataclass}


def classes(**options: bool) -> dict[str, type]:
    """Return one class made by both, with each kind of field."""
    made = {}
    for name, maker in MAKERS.items():

        class Told:
            """A doc."""

            text: str
            secret: str = field(repr=False)
            number: int = 7
            parts: list[str] = field(default_factory=list)
            apart: int = field(default=1, compare=False)
            later: int = field(init=False, default=3)

        made[name] = maker(**options)(Told)
    return made


KINDS: list[dict[str, bool]] = [
    {}, {"frozen": True}, {"slots": True}, {"frozen": True, "slots": True}, {"eq": False, "slots": True},
    {"frozen": True, "slots": True, "repr": False},
]  # fmt: skip


@pytest.mark.parametrize("options", KINDS, ids=str)
@pytest.mark.parametrize(
    "words",
    [
        lambda made: made("a", "b"),
        lambda made: made("a", secret="b", number=8, parts=["x"], apart=2),
        lambda made: made("a", "b", 9, ["y", "z"]),
    ],
)
def test_a_record_is_made_compared_and_shown_as_the_standard_librarys(
    options: dict[str, bool], words: Callable[[type], Any]
) -> None:
    standard, ours = (words(made) for made in classes(**options).values())
    assert dataclasses.asdict(ours) == dataclasses.asdict(standard)
    assert dataclasses.astuple(ours) == dataclasses.astuple(standard)
    assert hasattr(ours, "__dict__") == hasattr(standard, "__dict__")
    assert type(ours).__doc__ == type(standard).__doc__
    assert type(ours).__match_args__ == type(standard).__match_args__
    if options.get("repr", True):
        assert repr(ours) == repr(standard)
        assert "secret" not in repr(ours)


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_two_are_equal_if_what_is_compared_of_them_is(options: dict[str, bool]) -> None:
    for made in classes(**options).values():
        equals = options.get("eq", True)
        assert (made("a", "b") == made("a", "b", apart=5)) is equals
        assert made("a", "b") != made("a", "c")
        assert made("a", "b") != ("a", "b", 7, [])
        assert made("a", "b").parts is not made("a", "b").parts


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_only_what_cannot_change_is_hashed_by_its_values(options: dict[str, bool]) -> None:
    told = []
    for made in classes(**options).values():
        try:
            # Both are kept: what is gone may leave its place, and with it its hash, to the next one.
            one, other = made("a", "b", parts=()), made("a", "b", parts=(), apart=2)
            told.append(hash(one) == hash(other))
        except TypeError as error:
            told.append("unhashable" in str(error))
    assert told[0] is told[1]


@pytest.mark.parametrize("options", KINDS, ids=str)
@pytest.mark.parametrize("words", [(), ("a",), ("a", "b", 1, [], 2, 3)])
def test_missing_and_too_many_values_are_refused_by_name(
    options: dict[str, bool], words: tuple[Any, ...]
) -> None:
    told = []
    for made in classes(**options).values():
        with pytest.raises(TypeError) as caught:
            made(*words)
        told.append(str(caught.value))
    assert told[0] == told[1]


def test_a_frozen_one_does_not_change() -> None:
    for made in classes(frozen=True, slots=True).values():
        record = made("a", "b")
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'text'"):
            record.text = "other"
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'text'"):
            del record.text
        assert record.text == "a"
        assert dataclasses.replace(record, text="c").text == "c"


def test_one_that_is_not_frozen_changes_and_has_no_other_members() -> None:
    for made in classes(slots=True).values():
        record = made("a", "b")
        record.text = "other"
        assert record.text == "other"
        with pytest.raises(AttributeError):
            record.unknown = 1


@records.dataclass(frozen=True, slots=True)
class Kept:
    """One that is pickled, copied and matched."""

    name: str
    inner: list[int] = field(default_factory=list)
    twice: str = field(init=False, repr=False, default="")

    def __post_init__(self) -> None:
        object.__setattr__(self, "twice", self.name * 2)


@records.dataclass(frozen=True, slots=True)
class Longer(Kept):
    """One with the fields of another."""

    more: int = 0


@records.dataclass(slots=True)
class Own:
    """One with methods of its own, which stay."""

    value: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Own)

    def __repr__(self) -> str:
        return "own"

    def __hash__(self) -> int:
        return 5


@pytest.mark.parametrize(
    "again",
    [copy.copy, copy.deepcopy, lambda record: pickle.loads(pickle.dumps(record))],  # our own bytes
)
@pytest.mark.parametrize("record", [Kept("a", [1]), Longer("b", [2], 3)], ids=repr)
def test_a_copy_is_equal_and_frozen(record: Kept, again: Callable[[Kept], Kept]) -> None:
    made = again(record)
    assert made == record
    assert made.twice == record.name * 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.name = "other"  # type: ignore[misc]  # that is what is tried


def test_an_heir_has_all_fields_and_is_equal_to_its_kind_alone() -> None:
    assert repr(Longer("b", [2], 3)) == "Longer(name='b', inner=[2], more=3)"
    assert Longer("b") != Kept("b")
    match Longer("b", [2], 3):
        case Kept(name, inner):
            assert (name, inner) == ("b", [2])


def test_methods_of_its_own_stay() -> None:
    assert (Own(1) == Own(2), repr(Own(1)), hash(Own(1))) == (True, "own", 5)


def test_one_that_holds_itself_is_shown() -> None:
    record = Kept("a")
    record.inner.append(record)  # type: ignore[arg-type]  # a circle
    assert repr(record) == "Kept(name='a', inner=[...])"


def test_a_field_may_be_called_what_the_code_around_it_uses() -> None:
    @records.dataclass(frozen=True, slots=True)
    class Odd:
        """Names of builtins and of the module's own."""

        fields: int
        getattr: int = 1
        object: str = "o"

    assert Odd(3) == Odd(3, 1, "o")
    assert repr(Odd(3)).endswith("Odd(fields=3, getattr=1, object='o')")


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS.keys())
def test_a_record_that_says_itself_what_is_equal_has_the_hash_of_its_fields(maker: Any) -> None:
    class Word:  # noqa: PLW1641  # the maker's business here
        text: str

        def __eq__(self, other: object) -> bool:
            return isinstance(other, str) and other == self.text

    made: Any = maker(frozen=True)(Word)
    assert made("a") == "a"
    assert made("a") != made("a")
    assert hash(made("a")) == hash(made("a")) != hash(made("b"))
