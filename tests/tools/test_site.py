"""The documents' site: every page is in its navigation once, and what pages link to comes along. `make docs` builds it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from tools.site import SECTIONS, documents, gather, list_decisions, navigation, settings

ROOT = Path(__file__).parents[2]


def test_every_document_is_in_the_navigation_once() -> None:
    found = documents()
    pages = Counter(page for section in navigation(found) for each in section.values() for page in each)  # fmt: skip
    assert {page for page, count in pages.items() if count > 1} == set()
    assert set(found) == {page for page in pages if page != "docs/adr/README.md"}


def test_what_the_navigation_names_exists() -> None:
    named = [page for pages in SECTIONS.values() for page in pages]
    assert len(named) > 30
    for page in named:
        assert (ROOT / page).is_file(), page


def test_pages_come_with_what_they_link_to(tmp_path: Path) -> None:
    root, target = tmp_path / "tree", tmp_path / "site"
    (root / "docs/adr").mkdir(parents=True)
    (root / "systemd").mkdir()
    (root / "systemd/x.toml").write_text("x")
    (root / "LICENSE").write_text("free")
    (tmp_path / "outside").write_text("not ours")
    (root / "README.md").write_text(
        "# R\n[a](docs/a.md#b) [l](LICENSE) [all](docs/adr) [o](../outside) [w](https://x.example)\n"
    )
    (root / "docs/a.md").write_text(
        "# A\n[x](../systemd/x.toml) [d](adr/)\n```\n[n](none.png)\n```\n"
    )
    (root / "docs/adr/0001-x.md").write_text("# 0001. First\n")
    assert gather(target, root) == ["README.md", "docs/a.md", "docs/adr/0001-x.md"]
    made = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    assert made == {
        "LICENSE", "README.md", "docs/a.md", "docs/adr/0001-x.md", "docs/adr/README.md", "systemd/x.toml",
    }  # fmt: skip
    assert "](docs/adr/README.md)" in (target / "README.md").read_text()
    assert "](adr/README.md)" in (target / "docs/a.md").read_text()
    assert (
        target / "docs/adr/README.md"
    ).read_text() == "# Decisions\n\n- [0001. First](0001-x.md)\n"


def test_nothing_comes_from_another_site() -> None:
    text = settings(documents())
    assert '"font": false' in text
    assert not re.search(r"https?://", text)
    assert "- [0049." in list_decisions(documents(), ROOT)
