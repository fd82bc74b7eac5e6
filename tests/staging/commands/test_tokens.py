"""Access tokens as commands."""

from __future__ import annotations

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
