"""``story-release`` as a command: what it prints, and how it refuses.

The modules behind it, release.commands.common, release.commands.packages and release.commands.repository, are
tested here too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile

from tests.release.tool import BUILD, FOLDERS, PACKAGES, ROOT, Tool


def test_from_nothing_to_a_verified_release(tool: Tool) -> None:
    assert tool.json("init", *FOLDERS)["root"] == "repo/metadata/root.json"
    built = tool.json(*BUILD, "p.tar.gz")
    assert (built["version"], built["product"]) == ("1.1.0", "story-machine")
    assert any(name.startswith("tuf==") for name in built["requires"])
    tool.json(*BUILD, "again.tar.gz")
    package = tool.folder / "p.tar.gz"
    assert package.read_bytes() == (tool.folder / "again.tar.gz").read_bytes()
    with tarfile.open(package) as tar:
        names = tar.getnames()
    code = [f"lib/{name}/__init__.py" for name in PACKAGES]
    assert names == ["release.json", *sorted([*code, "lib/agent/sbom.cdx.json"])]
    which = ("--product", "story-machine", "--version", "1.1.0")
    added = tool.json("add", "p.tar.gz", *FOLDERS, *which)
    assert set(added) == {"target", "path", "size", "md5", "sha256", "version", "product"}
    assert (
        added["size"]
        == package.stat().st_size
        == (tool.folder / "repo" / added["path"]).stat().st_size
    )
    assert tool.json("add", "p.tar.gz", *FOLDERS, *which) == added
    assert tool.json("verify", "--repo", "repo")["valid"] is True
    assert tool.json("verify", "p.tar.gz")["valid"] is True
    shown = tool.json("show", "--repo", "repo")
    assert [target["target"] for target in shown["targets"]] == [added["target"]]
    refreshed = tool.json("refresh", *FOLDERS)["roles"]
    assert refreshed["timestamp"]["version"] == shown["roles"]["timestamp"]["version"] + 1


def test_people_get_lines(tool: Tool) -> None:
    done = tool("init", *FOLDERS)
    assert done.stdout.splitlines()[0] == "repository: repo"


def test_a_reader_that_has_enough_is_no_error_to_tell_of(tool: Tool) -> None:
    tool.json("init", *FOLDERS)
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "release.cli", "show", "--repo", str(tool.folder / "repo")]
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run(
            command, cwd=ROOT, stdout=closed, stderr=subprocess.PIPE, timeout=30, check=False
        )
    assert done.stderr == b""


BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "no repository": (("show", "--repo", "none"), "run init first"),
    "no repository to add to": (
        ("refresh", "--repo", "none", "--keys", "keys"),
        "no such folder",
    ),
    "a repository twice": (("init", *FOLDERS), "already a repository"),
    "no such file": (("verify", "none"), "No such file"),
    "not a package": (("verify", "src/ota/__init__.py"), "broken package"),
    "bad version": (("build", "--version", "x", "--output", "o"), 'got "x"'),
    "bad product": ((*BUILD, "o", "--product", "../x"), "product"),
    "no sources": (("build", "--version", "1.0", "--source", "repo", "--output", "o"), "repo/wire"),
    "no such folder for the output": ((*BUILD, "none/o"), "No such file"),
    "another product": (
        ("add", "p", *FOLDERS, "--product", "toaster", "--version", "1.1.0"),
        'wrong release: product: got "story-machine", expected',
    ),
    "another version": (
        ("add", "p", *FOLDERS, "--product", "story-machine", "--version", "1.2"),
        'wrong release: version: got "1.1.0", expected',
    ),
    "no keys": (
        (
            *("add", "p", "--repo", "repo", "--keys", "none"),
            *("--product", "story-machine", "--version", "1.1.0"),
        ),
        "no such key",
    ),
}


def test_bad_input_gives_one_line_and_an_exit_code(tool: Tool) -> None:
    tool.json("init", *FOLDERS)
    tool.json(*BUILD, "p")
    for name, (arguments, reason) in BAD.items():
        done = tool(*arguments)
        assert (done.returncode, done.stdout) == (1, ""), name
        assert done.stderr.count("\n") == 1, name
        assert done.stderr.startswith("story-release: "), name
        assert reason in done.stderr, name
    assert not (tool.folder / "o").exists()


def test_what_the_terminal_has_no_characters_for(tool: Tool) -> None:
    """The change has been made by then; its output must not end in a traceback."""
    done = tool("init", "--repo", "geschichten-ü", "--keys", "k", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("repository: geschichten-\\xfc\n")


def test_a_wrong_command_line_is_usage(tool: Tool) -> None:
    done = tool("add")
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_the_help_is_answered_before_anything_that_signs_is_imported() -> None:
    code = (
        "import sys; from release.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    for words in (("--help",), ("add", "--help"), ("key", "rotate", "--help"), ("add",)):
        done = subprocess.run(
            [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True,
            timeout=30, check=True,
        )  # fmt: skip
        loaded = set(done.stdout.splitlines()[-1].split())
        assert "release" in loaded
        assert not loaded & {"tuf", "securesystemslib", "cryptography", "pkcs11"}, words


def test_a_folder_that_cannot_be_made_is_named_with_the_systems_word(tool: Tool) -> None:
    (tool.folder / "file").write_bytes(b"")
    done = tool("init", "--repo", "file/repo", "--keys", "keys")
    assert done.stderr == "story-release: file/repo: Not a directory\n"
