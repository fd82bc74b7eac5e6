"""The index of titles, beside a search that looks at each title."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.titles.title_index import Folder, Hit, TitleIndex, make_folder, title_of
from wire.text import fold

PARTS = st.sampled_from([b"a", b"A", b"CD1", b"CD10", b"CD2", b"\xe5\x84\xbf", b"\xff", b"a b"])
STEMS = st.text("ab 1\u0308儿歌\u3000", min_size=1, max_size=4).map(str.encode)
NAMES = st.lists(st.builds(lambda stem: stem + b".mp3", STEMS | st.just(b"\xff")), max_size=5)
TREES = st.dictionaries(st.lists(PARTS, max_size=3).map(b"/".join), NAMES, max_size=8)


def index_of(tree: dict[bytes, list[bytes]]) -> TitleIndex:
    """Index a tree; the folders above those given are there too, as in a media folder."""
    whole: dict[bytes, list[bytes]] = {b"": []}
    for path, names in tree.items():
        while path not in whole or whole[path] is not names:
            whole[path] = names
            break
        while path:
            path = path.rpartition(b"/")[0]  # noqa: PLW2901  # up to the root
            whole.setdefault(path, [])
    return TitleIndex(b"/media", (make_folder(p, set(n), 99) for p, n in whole.items()))


def every(index: TitleIndex) -> list[tuple[Hit, str]]:
    return [
        (Hit(number, place), fold(title_of(name)))
        for number, folder in enumerate(index.folders)
        for place, name in enumerate(folder.every_name())
    ]


@given(TREES, st.text("ab 1儿歌", min_size=1, max_size=3))
def test_it_finds_what_a_search_through_all_finds(
    tree: dict[bytes, list[bytes]], wanted: str
) -> None:
    index, wanted = index_of(tree), fold(wanted)
    titles = every(index)
    assert len(index) == len(titles)
    if not wanted:
        return
    assert list(index.titled(wanted)) == [hit for hit, title in titles if title == wanted]
    assert index.containing(wanted) == next((hit for hit, t in titles if wanted in t), None)


@given(TREES)
def test_every_title_is_found_by_its_name(tree: dict[bytes, list[bytes]]) -> None:
    index = index_of(tree)
    for hit, title in every(index):
        if title:
            assert hit in index.titled(title)
            assert index.containing(title)


@given(TREES, st.sampled_from(["a", "cd1", "media", "儿", "\N{REPLACEMENT CHARACTER}"]))
def test_a_folder_stands_for_all_below_it(tree: dict[bytes, list[bytes]], wanted: str) -> None:
    index = index_of(tree)
    found = list(index.named(wanted))
    for number, folder in enumerate(index.folders):
        below = [
            n for n, other in enumerate(index.folders)
            if n == number or not folder.path or other.path.startswith(folder.path + b"/")
        ]  # fmt: skip
        name = (folder.path or b"media").rpartition(b"/")[2].decode(errors="replace")
        expected = fold(name) == wanted and any(index.folders[n].count for n in below)
        assert (range(number, number + len(below)) in found) == expected
        assert below == list(range(number, number + len(below)))


def test_a_folders_own_titles_come_before_those_below_it() -> None:
    index = index_of({b"": [b"z.mp3"], b"CD10": [b"1.mp3"], b"CD2": [b"2.mp3"], b"a/b": [b"x.mp3"]})
    assert [folder.path for folder in index.folders] == [b"", b"a", b"a/b", b"CD2", b"CD10"]


def test_parents_are_compared_from_the_last() -> None:
    index = index_of({b"Album/CD1": [b"1.mp3"]})
    number = next(n for n, f in enumerate(index.folders) if f.path == b"Album/CD1")
    assert index.is_in(number, ["cd1"])
    assert index.is_in(number, ["album", "cd1"])
    assert index.is_in(number, ["media", "album", "cd1"])
    assert not index.is_in(number, ["album"])
    assert not index.is_in(number, ["x", "media", "album", "cd1"])


@pytest.mark.parametrize(("limit", "kept"), [(0, []), (2, [b"1.mp3", b"2.mp3"])])
def test_the_first_titles_in_order_are_kept(limit: int, kept: list[bytes]) -> None:
    folder = make_folder(b"", [b"10.mp3", b"2.mp3", b"1.mp3"], limit)
    assert folder.every_name() == kept
    assert folder.count == len(kept)


@pytest.mark.parametrize(
    ("name", "title"),
    [(b"a.mp3", "a"), (b"a.b.mp3", "a.b"), (b"a\xcc\x88.mp3", "ä"), (b"a\nb.mp3", "a\ufffdb"),
     (b"\xb9\xca.mp3", "\ufffd\ufffd"), ("a\u3000b.mp3".encode(), "a\u3000b")],
)  # fmt: skip
def test_a_files_title(name: bytes, title: str) -> None:
    assert title_of(name) == title


def test_an_index_of_nothing() -> None:
    index = TitleIndex(b"", ())
    assert len(index) == 0
    assert index.containing("a") is None
    assert not list(index.titled("a"))
    assert not list(index.named("a"))
    assert isinstance(make_folder(b"", [], 1), Folder)
