"""Who wants what is another family's: its devices by the open API, and its machine at home."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping

import httpx

from staging.client import OpenApiClient, OpenApiError
from tools.attack.site import Attack, Outcome, Site
from tools.bench import AGENT_CONFIG

OTHER_PAGE = "https://evil.example"


def _client(site: Site, user: str) -> OpenApiClient:
    words = ("token", "--app", str(site.bench.app["appId"]), "--user", user)
    token = str(site.bench.story_cloud(*words)["access_token"])
    return OpenApiClient(site.bench.api, site.bench.app["apikey"], site.bench.app["secret"], token)


def other_family(site: Site) -> Outcome:
    """Call every endpoint that is about one device with another family's token."""
    uuid, token = site.bench.device["uuid"], site.bench.device["bindToken"]
    owner = site.clients["parent"]
    owner.bind(uuid, token)
    with _client(site, f"stranger-{site.number()}") as other:
        calls: dict[str, Callable[[], object]] = {
            "bind": lambda: other.bind(uuid, token),
            "unbind": lambda: other.unbind(uuid),
            "rename": lambda: other.rename(uuid, "mine"),
            "info": lambda: other.info(uuid),
            "resource": lambda: other.resource(uuid),
            "get": lambda: other.send(uuid, "GET", "volume"),
            "set": lambda: other.send(uuid, "PUT", "volume", "9"),
            "history": lambda: other.history(uuid),
            "realtime": lambda: other.realtime(uuid, "volume"),
            "new version": lambda: other.new_version(uuid),
            "update": lambda: other.update(uuid, 1, 1),
            "update status": lambda: other.update_status(uuid),
        }
        given = [name for name, call in calls.items() if not _is_refused(call)]
        listed = uuid in [each["uuid"] for each in other.devices()]
    owner.unbind(uuid)
    return Outcome(
        not given and not listed,
        f"{len(calls) - len(given)} of {len(calls)} calls refused"
        + (f", given: {', '.join(given)}" if given else "")
        + (", and it is in the list" if listed else ""),
    )


def _is_refused(call: Callable[[], object]) -> bool:
    try:
        call()
    except OpenApiError:
        return True
    return False


def web_page_at_home(site: Site) -> Outcome:
    """Speak for the child, and read, from a web page in a browser on the machine, and by a name of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    agent_again(site, f"[local]\nhttp_port = {port}\n")
    url = f"http://127.0.0.1:{port}"
    page = {"Origin": OTHER_PAGE, "Sec-Fetch-Site": "cross-site"}
    statuses = {
        "POST /voice, no token": httpx.post(f"{url}/voice", content=b"RIFF").status_code,
        "POST /voice, a page": httpx.post(
            f"{url}/voice", content=b"RIFF", headers=page
        ).status_code,
        "POST /listen": httpx.post(f"{url}/listen", content=b"start").status_code,
        "PUT /volume, a page": httpx.put(f"{url}/volume", content=b"9", headers=page).status_code,
        "GET /status, another name": httpx.get(
            f"{url}/status", headers={"Host": "evil.example"}
        ).status_code,
    }
    agent_again(site, "")
    given = {name: status for name, status in statuses.items() if status < 400}
    return Outcome(
        not given,
        f"{len(statuses) - len(given)} of {len(statuses)} refused; given: {given or 'none'}",
    )


def readable_profile(site: Site) -> Outcome:
    """Leave the profile, which has the token, readable for every user, as a shell's ``>`` does."""
    site.bench.profile_path.chmod(0o644)
    agent_again(site, "")
    mode = site.bench.profile_path.stat().st_mode & 0o777
    told = "profile" in site.agent.log.read_text("utf-8", "replace").lower()
    return Outcome(
        mode & 0o007 == 0 and told,
        f"its mode is {mode:04o} after the start, {'told' if told else 'not told'}",
    )


def agent_again(site: Site, more: str, environment: Mapping[str, str] | None = None) -> None:
    """Start the machine anew with more lines of settings and these variables."""
    site.agent.stop()
    (site.folder / "agent.toml").write_text(AGENT_CONFIG + more)
    site.bench.start_agent(environment)


ATTACKS = (
    Attack("another family", "use a device that is bound to somebody else", other_family),
    Attack(
        "web page at home", "use the family's own browser against its machine", web_page_at_home
    ),
    Attack("readable profile", "read a machine's token as another user of it", readable_profile),
)
