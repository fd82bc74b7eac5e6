"""Access tokens as commands."""

from __future__ import annotations

from pathlib import Path

from tests.staging.commands.conftest import Command


def test_a_user_gets_a_token_an_app(command: Command, mistake: Command) -> None:
    app = str(command("app", "add", "a", "--type", "web")["appId"])
    first = command("token", "--app", app, "--user", "家长")
    second = command("token", "--app", app, "--user", "家长")
    assert list(first) == ["access_token", "expires_in", "accountUuid", "userName"]
    assert (first["userName"], first["expires_in"]) == ("家长", 60 * 24 * 3600)
    assert first["accountUuid"] == second["accountUuid"]
    assert first["access_token"] != second["access_token"]
    (account,) = command("account", "list")["accounts"]
    assert (account["userName"], account["canLogIn"]) == ("家长", False)
    assert "app 9: there is none" in mistake("token", "--app", "9", "--user", "家长")


def test_tokens_are_listed_taken_back_and_expire(
    command: Command, mistake: Command, tmp_path: Path
) -> None:
    app = str(command("app", "add", "a", "--type", "web")["appId"])
    leaked, kept = (
        command("token", "--app", app, "--user", "家长")["access_token"] for _ in range(2)
    )
    file = tmp_path / "token"
    file.write_text(leaked + "\n")
    assert command("token", "revoke", "--token-file", str(file)) == {"revoked": 1}
    assert command("token", "revoke", "--token-file", str(file)) == {"revoked": 0}
    (left,) = command("token", "list", "--user", "家长")["tokens"]
    assert kept not in str(left)
    assert command("token", "expire", "--app", app) == {"expired": 1}
    assert command("token", "expire", "--app", app) == {"expired": 0}
    assert "token revoke: which tokens?" in mistake("token", "revoke")
    assert "account x: there is none" in mistake("token", "expire", "--user", "x")
    assert "token: --app and --user missing" in mistake("token")
