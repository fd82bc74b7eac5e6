"""The lists of titles: a device's own, or its product's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from staging.errors import StagingError
from staging.recognition.title_lists import TitleLists, parse_titles, sort_titles
from wire.errors import WireError
from wire.text import kept

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
TITLE_LIMIT = 1018
TITLES_LIMIT = 10_000

UUID = "01a800000072af"


class TestCatalogues:
    def test_a_file_has_4_mib(self) -> None:
        most = "歌\n".encode() + b"\n" * (4_194_304 - 4)
        assert parse_titles(most, "list") == ["歌"]
        with pytest.raises(WireError, match="got 4194305 bytes, expected at most 4194304"):
            parse_titles(most + b"\n", "list")

    @pytest.mark.parametrize(
        "content",
        ['{"titles": ["儿歌", "两只老虎"]}', '["儿歌", "两只老虎"]', "儿歌\n\n  两只老虎\r\n"],
    )
    def test_forms_of_a_file(self, content: str) -> None:
        assert parse_titles(content.encode(), "list") == ["儿歌", "两只老虎"]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "list: titles: got"),
            (b"[]", "expected a list of titles"),
            (b"{}", "expected a list of titles"),
            (b'["a", 1]', r"list: titles\[1\]: got 1, expected"),
            (b'["a", " "]', r"titles\[1\]"),
            (b'["a\\u0000b"]', "printable"),
            (b"[", "not JSON"),
            (b"\xff", "not UTF-8"),
            (b"a" * (TITLE_LIMIT + 1), f"1 to {TITLE_LIMIT} bytes"),
            (b"a\n" * (TITLES_LIMIT + 1), f"expected at most {TITLES_LIMIT}"),
        ],
    )
    def test_a_bad_file_is_named(self, content: bytes, message: str) -> None:
        with pytest.raises(WireError, match=message):
            parse_titles(content, "list")

    def test_a_title_is_any_text_and_kept_in_nfc(self) -> None:
        titles = [
            "春天\u3000在哪里",
            "a\u00a0b",
            "\U0001f468\u200d\U0001f467",
            "Ma\u0308rchen",
            "\uff21",
        ]
        for content in (json.dumps(titles), "\n".join(titles)):
            assert parse_titles(content.encode(), "list") == [kept(title) for title in titles]

    @pytest.mark.parametrize("bad", ["a\u2028b", "a\u202eb", "a\x85b", "x" * (TITLE_LIMIT + 1)])
    def test_a_title_that_no_request_can_name_costs_no_other(self, bad: str) -> None:
        for content in (json.dumps(["儿歌", bad, "数鸭子"]), f"儿歌\n{bad}\n数鸭子"):
            titles, left_out = sort_titles(content.encode(), "list")
            assert titles == ["儿歌", "数鸭子"]
            assert [error.field for error in left_out] == ["list: titles[1]"]

    def test_a_device_goes_before_its_product(self, tmp_path: Path) -> None:
        lists = TitleLists(tmp_path)
        assert lists.index(UUID, "story/machine") is None
        lists.set(["儿歌"], product="story/machine")
        assert self._titles(lists) == ["儿歌"]
        lists.set(["两只老虎"], uuid=UUID.upper())
        assert self._titles(lists) == ["两只老虎"]
        assert lists.remove(uuid=UUID)
        assert not lists.remove(uuid=UUID)
        assert self._titles(lists) == ["儿歌"]

    def test_a_list_that_was_replaced_is_read_anew(self, tmp_path: Path) -> None:
        lists, command = TitleLists(tmp_path), TitleLists(tmp_path)
        command.set(["儿歌"], uuid=UUID)
        assert self._titles(lists) == ["儿歌"]
        command.set(["数鸭子"], uuid=UUID)
        assert self._titles(lists) == ["数鸭子"]

    def test_a_list_in_use_is_indexed_before_the_next_sentence(self, tmp_path: Path) -> None:
        lists = TitleLists(tmp_path)
        lists.set(["儿歌"], uuid=UUID)
        lists.index(UUID, "p")
        lists.set(["数鸭子"], uuid=UUID)
        lists.refresh()
        # Only the stamp of the file is looked at, so that what is found was indexed by then.
        lists.get = lambda **_names: pytest.fail("it is read again")  # type: ignore[method-assign]
        assert self._titles(lists) == ["数鸭子"]

    def test_a_list_that_is_damaged_later_is_an_error_of_the_next_sentence(
        self, tmp_path: Path
    ) -> None:
        lists = TitleLists(tmp_path)
        lists.set(["儿歌"], uuid=UUID)
        lists.index(UUID, "p")
        (tmp_path / "catalogues" / f"device-{UUID}.json").write_text("{")
        lists.refresh()
        with pytest.raises(StagingError):
            lists.index(UUID, "p")

    def test_a_damaged_list_is_an_error(self, tmp_path: Path) -> None:
        lists = TitleLists(tmp_path)
        lists.set(["儿歌"], uuid=UUID)
        (tmp_path / "catalogues" / f"device-{UUID}.json").write_text(json.dumps({"titles": [1]}))
        with pytest.raises(StagingError, match="titles"):
            lists.index(UUID, "p")

    @staticmethod
    def _titles(lists: TitleLists) -> list[str]:
        index = lists.index(UUID, "story/machine")
        assert index is not None
        return index.titles
