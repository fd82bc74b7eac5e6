"""The decision on one signed entry, without a repository: this machine and the order against it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tuf.api._payload import TargetFile

from ota.errors import ContentError
from ota.trust.target import Target, check_target, map_file_name, target_file_names, target_path
from ota.trust.terms import MapFile, Terms, ThisMachine
from wire.ota import OtaOrder

SHA256, OTHER = "a" * 64, "b" * 64
MACHINE = ThisMachine("lamp", "1.0.0")
PATH = "lamp/1.1.0.tar.gz"
ORDER = OtaOrder("77", "1.1.0", "1.0.0", f"http://h/t/{SHA256}.1.1.0.tar.gz?token=1", 10, "0" * 32)


def entry(terms: Terms | None = None, **hashes: str) -> TargetFile:
    custom = (terms or Terms("lamp", "1.1.0")).to_json()
    return TargetFile(10, hashes or {"sha256": SHA256}, PATH, {"custom": custom})


def test_a_target_holds_what_is_signed() -> None:
    bundle_map = MapFile(9, OTHER, "0" * 32)
    terms = Terms("lamp", "1.1.0", data_budget=50, map=bundle_map)
    expected = Target(PATH, 10, SHA256, "1.1.0", "lamp", 50, bundle_map)
    assert check_target(entry(terms), ORDER, MACHINE) == expected


@pytest.mark.parametrize("name", [f"{SHA256}.1.1.0.tar.gz", "1.1.0.tar.gz", "1.1.0%2Etar.gz"])
def test_the_names_that_a_packages_url_may_end_in(name: str) -> None:
    order = replace(ORDER, url=f"http://h/{name}")
    assert check_target(entry(), order, MACHINE).path == PATH


REFUSED: dict[str, tuple[TargetFile, dict[str, Any], str]] = {
    "another size": (entry(), {"size": 11}, "wrong size"),
    "another name": (entry(), {"url": "http://h/1.2.0.tar.gz"}, "wrong URL"),
    "another hash": (entry(), {"url": f"http://h/{OTHER}.1.1.0.tar.gz"}, "wrong URL"),
    "no URL": (entry(), {"url": "http://["}, "wrong URL"),
    "another version": (entry(), {"version": "1.2.0"}, "wrong version"),
    "no SHA-256": (entry(sha512=SHA256), {}, "bad target"),
    "no terms": (TargetFile(10, {"sha256": SHA256}, PATH), {}, "bad target"),
    "another product": (entry(Terms("clock", "1.1.0")), {}, "wrong product"),
}


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_a_refusal_names_its_check(case: str) -> None:
    signed, lies, check = REFUSED[case]
    with pytest.raises(ContentError) as caught:
        check_target(signed, replace(ORDER, **lies), MACHINE)
    assert caught.value.check == check


def test_names_in_a_repository() -> None:
    assert target_path("lamp", "1.1.0") == PATH
    assert target_file_names("1.1.0", SHA256) == (f"{SHA256}.1.1.0.tar.gz", "1.1.0.tar.gz")
    assert map_file_name("1.1.0", OTHER) == f"{OTHER}.1.1.0.map"
