"""Who had access once, or has a machine that was another family's: what was taken back, and what is left of the first."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from functools import partial

import httpx

from audio.wav import render_wav
from staging.client import OpenApiClient, OpenApiError
from tools.attack.site import PASSWORD, Attack, Outcome, Site
from tools.processes import command
from tools.voice_proof import RATE, tone

# What the page of accounts promises to whoever is connected, and what the family's page promises to the new code.
REACHED_SECONDS, CODE_SECONDS = 5.0, 60.0
NAME, SENTENCE = "Mila-s-room", "音量调到三"
LOGGED_OUT = {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}


def _client(site: Site, user: str) -> OpenApiClient:
    words = ("token", "--app", str(site.bench.app["appId"]), "--user", user)
    token = str(site.bench.story_cloud(*words)["access_token"])
    return OpenApiClient(site.bench.api, site.bench.app["apikey"], site.bench.app["secret"], token)


def _ended(client: OpenApiClient) -> bool:
    try:
        client.validate()
    except OpenApiError:
        return True
    return False


def _until(look: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not look():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def taken_back(site: Site) -> Outcome:
    """Go on with a session and a token that were got before what the owner or the operator did."""
    secret = site.folder / "password"
    given, tried = [], 0
    for words, ends_token in (
        (("account", "password", "{}", "--password-file", str(secret)), True),
        (("account", "disable", "{}"), True),
        (("session", "revoke", "{}"), False),
        (("account", "role", "{}", "parent"), False),
        (("token", "revoke", "--user", "{}"), True),
    ):
        user = site.account()
        tried += 1
        with contextlib.closing(site.enter(user, "127.0.6.1")) as page, _client(site, user) as app:
            if page.get("/console/api/devices").status_code != httpx.codes.OK or _ended(app):
                given.append(f"{words[:2]}: it could not be tried")
            secret.write_text(f"{PASSWORD}, a new one")
            site.bench.story_cloud(*(word.format(user) for word in words))
            if words[0] != "token" and not _until(partial(_is_out, page), REACHED_SECONDS):
                given.append(f"the session after {' '.join(words[:2])}")
            if ends_token and not _until(partial(_ended, app), REACHED_SECONDS):
                given.append(f"the token after {' '.join(words[:2])}")
    return Outcome(
        not given,
        f"{tried} ways of taking back; gone on after {REACHED_SECONDS:g} s: {', '.join(given) or 'nothing'}",
    )


def _is_out(page: httpx.Client) -> bool:
    return page.get("/console/api/devices").status_code in LOGGED_OUT


def _refuses(client: OpenApiClient, uuid: str, token: str) -> bool:
    try:
        client.bind(uuid, token)
    except OpenApiError:
        return True
    return False


def second_owner(site: Site) -> Outcome:
    """Get a used machine: bind it, and read what the first family left; the first one binds it by its old code."""
    uuid, old = site.bench.device["uuid"], site.code()
    given = []
    with _client(site, f"first-{site.number()}") as first:
        first.bind(uuid, old)
        first.rename(uuid, NAME)
        first.send(uuid, "PUT", "volume", "7")
        sound = site.folder / "marked.wav"
        sound.write_bytes(render_wav(tone(RATE // 10)))
        command("story-agent", "say", sound, "--state", site.bench.state)
        if not _until(lambda: bool(list(first.whole_history(uuid, key="voice_control"))), 10):
            given.append("no voice was stored, so it could not be tried")
        first.unbind(uuid)
        if not _until(lambda: site.code() != old, CODE_SECONDS):
            given.append("the machine shows the old code")
        if not _refuses(first, uuid, old):
            given.append("the old code binds")
        with _client(site, f"second-{site.number()}") as second:
            if not _refuses(second, uuid, old):
                given.append("the old code binds for the second family")
            second.bind(uuid, site.code())
            given += _left(second, uuid)
            if not _refuses(first, uuid, site.code()):
                given.append("the first family binds what the second one has")
            second.unbind(uuid)
    return Outcome(
        not given,
        "name, voice, ledger, stored data and log of the first family: "
        + (f"given: {', '.join(given)}" if given else "none; its old code binds for neither"),
    )


def _left(second: OpenApiClient, uuid: str) -> list[str]:
    """Return what the second family is shown of the first."""
    shown = {
        "name": second.info(uuid)["name"],
        "voice": list(second.whole_history(uuid, key="voice_control")),
        "ledger": second.voice_ledger(uuid).entries,
        "first name in the stored data": NAME in json.dumps(list(second.stored(uuid))),
        "log": [
            row
            for row in second.audit(uuid)["data"]
            if row["action"] != "device.bind" or not row["you"]
        ],
        "older history": [
            row for row in second.whole_history(uuid, key="volume") if row["value"] == "7"
        ],
    }
    return [what for what, found in shown.items() if found]


ATTACKS = (
    Attack("what was taken back", "go on with a session or token of before", taken_back),
    Attack(
        "second owner", "read what a machine's first family left, or take it back", second_owner
    ),
)
