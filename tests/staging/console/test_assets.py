"""The static files: each is shipped, and none contains anything that the page's policy forbids."""

from __future__ import annotations

from pathlib import Path

from staging.console import assets as module
from staging.console.assets import INDEX, Assets


def test_every_file_of_the_page_ships_and_words_are_in_both_languages() -> None:
    assets = Assets()
    folder = Path(module.__file__).parent / "static"
    assert set(assets.names()) == {
        str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()
    }
    assert assets.get("../app.py") is None
    index = assets.get(INDEX)
    assert index is not None
    assert b"http" not in index.body
    for name in assets.names():
        asset = assets.get(name)
        assert asset is not None
        text = asset.body.decode()
        assert "innerHTML" not in text, name
        assert "https://" not in text, name
