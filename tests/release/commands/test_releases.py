"""What may not be offered."""

from __future__ import annotations

from tests.release.tool import BUILD, FOLDERS, Tool


def test_what_was_revoked_is_not_offered_again(tool: Tool) -> None:
    which = ("--product", "story-machine", "--version", "1.1.0")
    tool.json("init", *FOLDERS)
    tool.json(*BUILD, "p")
    tool.json("add", "p", *FOLDERS, *which, "--hold")
    tool.json("revoke", *FOLDERS, *which, "--reason", "deletes songs")
    done = tool("promote", *FOLDERS, *which)
    assert (done.returncode, done.stdout) == (1, "")
    reason = "version 1.1.0 is revoked (deletes songs): no machine would install it"
    assert done.stderr == f"story-release: {reason}\n"
