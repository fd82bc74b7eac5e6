"""Who has an account of the console and wants more than its role gives: on a family's machine, and of the cloud."""

from __future__ import annotations

import contextlib
from typing import Any

import httpx

from tools.attack.site import PASSWORD, Attack, Outcome, Site

# A name that only its family may read.
NAME = "Mila-s-room"
# The refusals that are about who asks; a wrong form or a missing CSRF token is none of them.
REFUSALS = {"role", "family", "1212", "not_for_verification"}
Calls = tuple[tuple[str, str, dict[str, Any]], ...]


def _on_a_machine(uuid: str) -> Calls:
    device = f"devices/{uuid}"
    return (
        ("POST", "versions/1/verify", {"uuid": uuid}),
        ("POST", f"{device}/update", {"packageId": 1, "strategyId": 1}),
        ("POST", f"{device}/update/cancel", {}),
        ("GET", f"{device}/utterances", {}),
        ("GET", f"{device}/utterances/1-1.wav", {}),
        ("GET", f"{device}/outcomes", {}),
        ("GET", f"{device}/series?key=volume", {}),
        ("POST", f"{device}/listen", {"action": "start"}),
        ("POST", f"{device}/say", {"text": "x"}),
        ("POST", f"{device}/control", {"method": "GET", "name": "volume"}),
        ("PUT", f"{device}/name", {"name": "mine"}),
        ("POST", f"{device}/unbind", {}),
    )


def _of_the_cloud(app: str, account: int) -> Calls:
    return (
        ("PUT", "versions?productId=1&version=9.9.9", {}),
        ("POST", "versions/1/pass", {}),
        ("POST", "strategies", {"packageId": 1, "batches": []}),
        ("POST", "strategies/1/publish", {}),
        ("GET", "apps", {}),
        ("POST", f"apps/{app}/secret/renew", {}),
        ("GET", "products/1", {}),
        ("POST", "products/1/batches", {"count": 1}),
        ("POST", f"products/1/apps/{app}/unbind", {}),
        ("GET", "batches/1/devices", {}),
        ("GET", "accounts", {}),
        ("POST", f"accounts/{account}/role", {"role": "operator"}),
        ("POST", f"accounts/{account}/password", {}),
        ("GET", "audit", {}),
    )


def _given(client: httpx.Client, calls: Calls) -> list[str]:
    """Return those of the calls that are not refused for who asks."""
    found = []
    for method, path, body in calls:
        body_or_none = None if method == "GET" else body
        answer = client.request(method, f"/console/api/{path}", json=body_or_none)
        if not _is_refused(answer):
            found.append(f"{method} {path}: {answer.status_code}")
    return found


def _is_refused(answer: httpx.Response) -> bool:
    if answer.status_code != httpx.codes.FORBIDDEN:
        return False
    return str(answer.json()["error"]["code"]) in REFUSALS


def _family_device(site: Site) -> dict[str, str]:
    """Add a machine in use, bound and named by the bench's family."""
    device = {key: str(value) for key, value in site.bench.story_cloud("device", "add").items()}
    site.clients["parent"].bind(device["uuid"], device["bindToken"])
    site.clients["parent"].rename(device["uuid"], NAME)
    return device


def _outcome(given: list[str], count: int, more: str) -> Outcome:
    if given:
        return Outcome(held=False, seen=f"of {count} calls and what is shown, given: {given}")
    return Outcome(held=True, seen=f"{count} of {count} refused{more}")


def other_testers(site: Site) -> Outcome:
    """Verify on, hear, steer and take a family's machine as a tester."""
    device = _family_device(site)
    calls = (("GET", f"devices/{device['uuid']}", {}), *_on_a_machine(device["uuid"]))
    with contextlib.closing(site.enter(site.account(), "127.0.5.1")) as client:
        given = _given(client, calls)
        if device["uuid"] in client.get("/console/api/devices").text:
            given.append("it is in the list")
    return _outcome(given, len(calls), " to a tester, and it is not in the list")


def operators(site: Site) -> Outcome:
    """Do the same as an operator, and look for name, tokens and secrets in what an operator is shown."""
    device = _family_device(site)
    calls = _on_a_machine(device["uuid"])
    pages = ("devices", f"devices/{device['uuid']}", "apps", "products", "accounts", "audit")
    secret = {
        "name": NAME, "bind token": device["bindToken"], "token": device["token"],
        "app's secret": site.bench.app["secret"], "user's token": site.bench.token,
    }  # fmt: skip
    with contextlib.closing(site.enter(site.account("--role", "operator"), "127.0.5.2")) as client:
        given = _given(client, calls)
        for page in pages:
            answer = client.get(f"/console/api/{page}")
            answer.raise_for_status()
            given += [f"{what} in {page}" for what, text in secret.items() if text in answer.text]
    return _outcome(given, len(calls), " to an operator; no name, token or secret on its pages")


def more_than_the_role(site: Site) -> Outcome:
    """Publish, read secrets and become an operator as a tester; log in at the console as a parent."""
    name, parent = site.account(), site.account("--role", "parent")
    with contextlib.closing(site.enter(site.account("--role", "operator"), "127.0.5.4")) as client:
        number = _number_of(client, name)
        calls = _of_the_cloud(str(site.bench.app["appId"]), number)
        # By who may make them: what is refused to a tester is then refused for the role.
        reads = tuple(call for call in calls if call[0] == "GET")
        allowed = _given(client, reads)
    with contextlib.closing(site.enter(name, "127.0.5.3")) as client:
        given = _given(client, calls)
    if len(allowed) != len(reads):
        given.append(f"refused to operators too: {len(reads) - len(allowed)}")
    with site.browser("127.0.5.5") as client:
        entered = site.try_console(parent, PASSWORD, client)
    if entered < httpx.codes.BAD_REQUEST:
        given.append(f"a parent is logged in: {entered}")
    return _outcome(given, len(calls), f" to a tester; a parent's log-in at the console: {entered}")


def _number_of(operator: httpx.Client, name: str) -> int:
    found = operator.get("/console/api/accounts").json()["accounts"]
    return next(int(each["id"]) for each in found if each["name"] == name)


ATTACKS = (
    Attack("tester and another's machine", "run code on it, hear it, take it", other_testers),
    Attack("operator and a family's machine", "hear it, steer it, read its tokens", operators),
    Attack("more than the role", "publish, read secrets, become an operator", more_than_the_role),
)
