"""Lists of titles as commands: of a device or of a product, as JSON or as plain text."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.staging.commands.conftest import Command


@pytest.mark.parametrize(
    "text", ['["两只老虎", "小星星"]', "两只老虎\n\n小星星\n"], ids=["json", "text"]
)
def test_a_list_is_stored_shown_and_removed(
    command: Command, mistake: Command, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "titles"
    file.write_text(text)
    device = command("device", "add")["uuid"]
    product = ("--product", "story-machine")
    assert command("catalogue", "set", device, str(file)) == {
        "uuid": device,
        "titles": 2,
        "leftOut": [],
    }
    assert command("catalogue", "show", device)["titles"] == ["两只老虎", "小星星"]
    assert "there is no catalogue" in mistake("catalogue", "show", *product)
    assert command("catalogue", "set", *product, str(file))["product"] == "story-machine"
    assert command("catalogue", "remove", device) == {"uuid": device}
    assert "there is no catalogue" in mistake("catalogue", "remove", device)
    assert command("catalogue", "show", *product)["titles"] == ["两只老虎", "小星星"]
    assert "name either a device" in mistake("catalogue", "show")
    assert "there is none" in mistake("catalogue", "show", "f" * 14)


def test_a_title_that_no_request_can_name_is_left_out_and_told(
    command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "titles"
    file.write_text("两只老虎\na\u2028b\n春天\u3000在哪里\n")
    device = command("device", "add")["uuid"]
    said = command("catalogue", "set", device, str(file))
    assert (said["titles"], len(said["leftOut"])) == (2, 1)
    assert "titles[1]: got" in said["leftOut"][0]
    assert command("catalogue", "show", device)["titles"] == ["两只老虎", "春天\u3000在哪里"]
