"""A test that is skipped names the package that it lacks, and `make setup` brings that, so that `make test` skips none."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tools.locks.files import read_pins
from tools.syntax import parse

TESTS = Path(__file__).parent
SETUP = (TESTS.parent / "tools" / "setup.sh").read_text("utf-8")
SKIPS = {"pytest.skip", "pytest.mark.skip", "pytest.mark.skipif", "pytest.importorskip"}
# Where a test cannot run, whatever is installed.
ELSEWHERE = {"root", "mounts", "namespaces", "Debian", "Python"}
# What a helper says of the package that it was asked for.
OF_HELPERS = "make setup"


def brought() -> set[str]:
    """Return the packages that `make setup` installs."""
    lists = re.findall(r"^(?:run|test)_packages=\(([^)]*)\)", SETUP, re.MULTILINE)
    locks = re.findall(r"tools/locks/\w+\.txt", SETUP)
    pins = {name for lock in locks for name in read_pins(TESTS.parent / lock)}
    return {word for text in lists for word in text.split()} | pins | {"nginx", "asr"}


def skips(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line of each call that skips, and what it says as far as it is written there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in SKIPS:
            said = [word.value for word in node.keywords if word.arg == "reason"]
            if ast.unparse(node.func) == "pytest.skip":
                said += node.args
            yield node.lineno, " ".join(text for each in said for text in _texts(each))


def _texts(said: ast.AST) -> Iterator[str]:
    for node in ast.walk(said):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def is_named(said: str, packages: set[str]) -> bool:
    """Return whether ``said`` names a package that is brought, or why no package helps."""
    words = set(re.findall(r"[\w.+-]*\w", said))
    return OF_HELPERS in said or bool(words & (packages | ELSEWHERE))


def test_each_skip_names_a_package_that_the_set_up_brings_or_says_that_none_helps() -> None:
    packages, found, bare = brought(), 0, []
    for path in sorted(TESTS.rglob("*.py")):
        source = path.read_text("utf-8")
        for line, said in skips(parse(source)) if "skip" in source else ():
            found += 1
            if not is_named(said, packages):
                bare.append(f"{path.relative_to(TESTS)}:{line}: {said}")
    assert found > 40
    assert bare == []


def test_what_is_no_package_of_the_set_ups_does_not_count() -> None:
    packages = brought()
    assert {
        "chromium",
        "gcc",
        "espeak-ng",
        "faster-whisper",
        "pypinyin",
        "schemathesis",
    } <= packages
    tree = parse(
        'pytest.skip("no wine here")\n'
        'pytest.skip(f"{shell} is missing")\n'
        'pytest.mark.skipif(a, reason="needs rauc")\n'
        'pytest.importorskip("x")\n'
    )
    assert [(line, is_named(said, packages)) for line, said in skips(tree)] == [
        (1, False), (2, False), (3, True), (4, False),
    ]  # fmt: skip
