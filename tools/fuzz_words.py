"""Good requests for every route of the cloud's doors, from which `tools.fuzz_cloud` makes odd ones.

Most odd values are refused by the first check that they meet; what lies behind it is reached by a request that is good but
for one thing.
"""

from __future__ import annotations

import base64
import json
import random
from typing import Any

from staging.console.app import PATH as CONSOLE_PATH
from tools.attack.odd import MEMBERS, ODD_VALUES, QUERY, ROUTES, odd_path
from tools.fuzz_stage import NEXT_VERSION, OTHER, PASSWORD, VERSION, Stage

# Each takes a tenth of a second or starts a process; one in so many of them is asked.
COSTLY = frozenset({
    ("POST", "/api/session"), ("POST", "/api/me/password"), ("POST", "/api/accounts"), ("PUT", "/api/versions"),
    ("POST", "/api/accounts/{account:id}/password"), ("POST", "/api/bulk/labels"),
})  # fmt: skip
COSTLY_SHARE = 100
_TIME = "2026-11-27T08:00:00Z"
# Names that a good body may have besides what its route asks for.
MORE = (
    *MEMBERS,
    "running",
    "phases",
    "settings",
    "values",
    "seconds",
    "add",
    "remove",
    "query",
    "uuids",
    "old",
    "new",
)


def api_words(stage: Stage) -> dict[str, Any]:
    """Return a good value for each name of the open API's parameters and members."""
    return {
        "deviceUuid": stage.device.uuid, "token": stage.device.bind_token, "method": "PUT", "name": "volume", "content": "5",
        "deviceUuids": [stage.device.uuid], "propertyKey": "volume", "propertyType": "REPORT", "startTime": _TIME,
        "endTime": _TIME, "limit": 5, "nextPage": 3, "packageId": 1, "strategyId": 1, "start": 1, "id": "1,2",
        "receipt": "0" * 32, "client_id": stage.app.id, "response_type": "token", "scope": "device,data",
        "redirect_uri": stage.app.redirect_uris[0], "state": "x", "user": OTHER, "password": PASSWORD, "answer": "allow",
    }  # fmt: skip


def console_body(route: tuple[str, str], stage: Stage, chance: random.Random) -> dict[str, Any]:
    """Return a good body for a route of the console; {} for one that reads none."""
    uuid, name = stage.device.uuid, f"n{chance.randrange(1000)}"
    bodies: dict[str, dict[str, Any]] = {
        "bind": {"token": stage.device.bind_token},
        "name": {"name": name},
        "control": {"method": chance.choice(["GET", "PUT"]), "name": "volume", "content": "5"},
        "listen": {"action": chance.choice(["start", "cancel"])},
        "say": {"text": chance.choice(["大点声", "louder", "播放小星星"])},
        "update": {"packageId": 1, "strategyId": 1},
        "faults": {"name": "delay", "values": {"seconds": 5}},
        "clear": {"name": "delay"},
        "wire": {"seconds": 60},
        "tags": {"add": ["office"], "remove": ["home"]},
        "preview": {"action": "tag", "uuids": [uuid], "query": "?q=a", "add": ["office"], "remove": []},
        "bulk": {"preview": "0" * 32},
        "labels": {"uuids": [uuid]},
        "apps": {"name": name, "type": "web", "scopes": ["data"], "redirectUris": ["https://app.example/back"]},
        "renew": {"package": "org.example", "apkSignature": "aa", "bundleId": "org.example"},
        "origins": {"add": ["https://app.example"], "remove": []},
        "token": {"app": 1},
        "case": {"code": chance.choice(["1208", "1212", "426"])},
        "password": {"old": "x", "new": PASSWORD},
        "session": {"user": OTHER, "password": PASSWORD},
        "products": {"name": name, "testDevices": 1, "template": "story-machine"},
        "batches": {"name": name, "count": 1},
        "points": {
            "name": name, "type": "int", "label": name, "description": name, "method": ["GET", "PUT"],
            "pattern": {"range": [0, 100]},
        },
        "template": {"template": "story-machine"},
        "remove": {"name": name},
        "verify": {"uuid": uuid},
        "strategies": {
            "version": NEXT_VERSION, "type": "SILENT", "from": [VERSION], "batches": [], "productId": 1,
            "phases": ["10%", "100%"], "settings": {"soak": 60},
        },
        "withdraw": {"running": chance.choice(["finish", "cancel"])},
        "phases": {"phases": ["1", "10%", "100%"], "settings": {"sample": 5}},
        "accounts": {"name": name, "role": "tester"},
        "role": {"role": chance.choice(["parent", "tester"])},
        "settings": {"offline_minutes": 60},
        "webhooks": {"url": "https://hooks.example.org/x"},
    }  # fmt: skip
    return bodies.get(route[1].rpartition("/")[2], {})


def console_request(stage: Stage, chance: random.Random) -> tuple[tuple[str, str], str, str, bytes]:
    """Return an odd request for a route that the console has: route, path, query and body."""
    route = chance.choice(ROUTES)
    while route in COSTLY and chance.randrange(COSTLY_SHARE):
        route = chance.choice(ROUTES)
    if chance.random() < 0.3:
        path, _, query = odd_path(route[1], chance, stage.device.uuid).partition("?")
    else:
        path, query = _good_path(route[1], stage, chance), _query(chance)
    body = b""
    if route[0] != "GET":
        body = json.dumps(spoilt(console_body(route, stage, chance), MORE, chance)).encode()
    return route, path.removeprefix(CONSOLE_PATH), query, body


def _good_path(template: str, stage: Stage, chance: random.Random) -> str:
    pieces = []
    for piece in template.split("/"):
        if "uuid" in piece:
            pieces.append(stage.device.uuid)
        elif "start:" in piece:
            pieces.append("1-10000.wav")
        elif "form" in piece:
            pieces.append(chance.choice(["report.json", "junit.xml", "report.html"]))
        else:
            # The second account: what is done to the first one ends its session.
            pieces.append(chance.choice("12") if piece.startswith("{") else piece)
            if piece == "{account:id}":
                pieces[-1] = "2"
    return "/".join(pieces)


def _query(chance: random.Random) -> str:
    good = {
        "q": "a", "before": "5", "after": "0", "key": "volume", "hours": "24", "productId": "1", "version": NEXT_VERSION,
        "description": "x", "tag": "office", "online": "1", "sort": "uuid", "page": "1", "kind": "event",
    }  # fmt: skip
    return "&".join(
        f"{name}={good.get(name, 'x')}"
        for name in chance.sample([*good, *QUERY], chance.randrange(4))
    )


def spoilt(good: dict[str, Any], more: tuple[str, ...], chance: random.Random) -> dict[str, Any]:
    """Return a copy of ``good`` in which up to two members are odd, missing, or too many."""
    value = dict(good)
    for _ in range(chance.randrange(3)):
        drawn = chance.random()
        if drawn < 0.2:
            value[chance.choice(more)] = chance.choice(ODD_VALUES)
        elif value and drawn < 0.4:
            del value[chance.choice(list(value))]
        elif value:
            name = chance.choice(list(value))
            value[name] = _odder(value[name], chance)
    return value


def _odder(value: Any, chance: random.Random) -> Any:
    """Return an odd value, or one that is odd somewhere inside."""
    if isinstance(value, dict) and value and chance.random() < 0.6:
        name = chance.choice(list(value))
        return value | {name: _odder(value[name], chance)}
    if isinstance(value, list) and value and chance.random() < 0.6:
        return [*value[:-1], _odder(value[-1], chance)]
    return chance.choice(ODD_VALUES)


def report_data(stage: Stage, chance: random.Random) -> dict[str, Any]:
    """Return a good report of a device: one to three of the keys that the cloud reads, and of its data points."""
    number = 10_000 + chance.randrange(5)
    frames = base64.b64encode(
        (b"\x06\x00\x00\x00" + chance.randbytes(6)) * chance.randrange(1, 16)
    ).decode()
    good: dict[str, Any] = {
        "alive": 0, "volume": 5, "power": True, "player": "stopped", "x": "y", "ota_log": "line",
        "device_trouble": "disk",
        "voice_control": {
            "id": number, "segment": chance.randrange(4), "rate": 8000, "channel": 1, "eof": chance.randrange(2),
            "voice_data": frames,
        },
        "duer_voice": {"id": number, "segment": 1, "rate": 16000, "channel": 1, "eof": 0, "voice_data": frames},
        "ota_event": {"transaction": "1", "event": chance.randrange(13), "percent": 0.5, "description": "x"},
        "ota_state": {"transaction": "1", "state": chance.randrange(5)},
        "package_info": {
            "os": {"version": VERSION}, "sbom": {"sha256": "0" * 64, "base_sha256": "0" * 64}, "support_end": "2030-01-01",
        },
        "utterance_times": {"id": number, "end": "sent", "why": "button", "seconds": {"opened": 0.1, "ended": 2.0}},
        "voice_erase": {"utterances": [{"id": number, "at": 1_800_000_000_000}]},
        "device_info": {
            "uuid": stage.device.uuid, "bindToken": stage.device.bind_token, "reads": ["number", "batch"],
        },
    }  # fmt: skip
    return {name: good[name] for name in chance.sample(list(good), chance.randrange(1, 4))}


def report_bytes(stage: Stage, chance: random.Random) -> bytes:
    """Return a report that is odd in up to two places: alone, numbered, or as a batch."""
    every = ("\x00", "x" * 300, "", "volume", "voice_control")
    told = [
        spoilt(report_data(stage, chance), every, chance) for _ in range(chance.randrange(1, 4))
    ]
    first = chance.randrange(1, 1000)
    numbered = [
        spoilt(
            {"number": first + place, "data": data, "time": 1_800_000_000_000, "late": True},
            ("time",),
            chance,
        )
        for place, data in enumerate(told)
    ]
    epoch = {"epoch": "0123456789abcdef"}
    match chance.randrange(4):
        case 0:
            value: dict[str, Any] = numbered[0] | epoch
        case 1:
            value = epoch | {"reports": numbered}
        case _:
            value = {"data": told[0]}
    return json.dumps(value).encode()
