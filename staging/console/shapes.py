"""Converts rows of the store to the JSON objects that the page's modules read."""

from __future__ import annotations

import json
from typing import Any

from audio.pcm import Pcm
from staging.console.sound import peaks
from staging.identity import rights
from staging.identity.rights import Standing, Viewer
from staging.store.bind_tokens import renewal_of
from staging.store.life import Moment
from staging.store.models import Report
from staging.store.order_rules import ACTIVE, Status, stuck_in_trial
from staging.store.ota import NewVersion, TaskView
from staging.store.ota_log import EventLine
from staging.store.overview import BATTERY, VOLUME, DeviceRow
from staging.store.series import Value
from staging.store.utterances import Utterance
from wire.errors import WireError
from wire.reports import KEYS_VOICE
from wire.voice import parse_segment, unpack_frames

# The stream shows the beginning of a long value; the open API returns all of it.
TEXT_LIMIT = 2000


def device(
    row: DeviceRow,
    *,
    online: bool,
    viewer: Viewer,
    twin: bool = False,
    now: int = 0,
    unasked: int | None = None,
) -> dict[str, Any]:
    """Return a device for the list and the head of its page; times in ms.

    Of a device that is bound to somebody else ``viewer`` sees its state and version, and neither its
    name and values nor whose it is. ``twin``: whether two machines use the device's identity. ``now``: ms, which says
    whether an update is stuck. ``unasked``: since when it is connected, of a device whose silence says nothing yet.
    """
    device = row.device
    stands = rights.standing(device.version, row.account_id, viewer.account_id)
    values = row.values if rights.shows_values(stands, row.account_id) else {}
    return {
        "uuid": device.uuid,
        "name": device.name if stands is Standing.OWN else "",
        "standing": stands.value,
        "online": online,
        "status": device.status,
        "osVersion": row.os_version,
        "supportEnd": device.support_end,
        "product": row.product,
        "productId": device.product_id,
        "batch": row.batch,
        "bound": row.account_id is not None,
        "mine": stands is Standing.OWN,
        "lastHeartbeat": device.last_heartbeat_time,
        "unasked": unasked,
        "battery": _value(values.get(BATTERY)),
        "volume": _value(values.get(VOLUME)),
        "update": _update(row, now),
        "bindTokenDiffers": device.bind_token_differs,
        "bindTokenRenewal": renewal_of(device),
        "twin": twin,
        "tags": list(row.tags),
        "added": device.create_time,
    }


def _update(row: DeviceRow, now: int) -> dict[str, Any] | None:
    task = row.task
    if task is None:
        return None
    return {
        "status": task.status,
        "percent": task.percent,
        "version": row.target,
        "active": task.status in ACTIVE,
        "stuck": stuck_in_trial(Status(task.status), task.update_time, now),
        "updateTime": task.update_time,
    }


def _value(value: Value | None) -> dict[str, Any] | None:
    return None if value is None else {"ts": value.ts, "value": value.value}


def task(view: TaskView | None, trial_log: list[str]) -> dict[str, Any] | None:
    """Return a device's latest update with its event log, and the log of a version that failed."""
    if view is None:
        return None
    task = view.task
    return {
        "id": task.id,
        "status": task.status,
        "active": task.status in ACTIVE,
        "percent": 1 if task.status in {Status.INSTALLED, Status.SUCCESS} else task.percent,
        "failure": task.failure,
        "version": view.version,
        "events": [event_line(line) for line in view.events],
        "trialLog": trial_log,
        "createTime": task.create_time,
        "updateTime": task.update_time,
    }


def moment(happened: Moment) -> dict[str, Any]:
    """Return something that happened in a device's life; of an update's event what its log shows."""
    told = happened.to_json()
    if happened.kind == "event" and told["event"] is not None:
        told["text"] = _description(told["text"])
    return told


def event_line(line: EventLine) -> dict[str, Any]:
    """Return a line of an update's log; ``text`` is what the device says of the event, "" where that is all."""
    text = line.text if line.event is None else _description(line.text)
    return {"ts": line.ts, "event": line.event, "percent": line.percent, "text": text}


def _description(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        return ""
    return str(value.get("description") or "") if isinstance(value, dict) else ""


def offer(new: NewVersion | None) -> dict[str, Any] | None:
    """Return the update that a device is offered; None: there is none, or one is running."""
    if new is None or new.task_id:
        return None
    return {
        "packageId": new.package_id,
        "strategyId": new.strategy_id,
        "type": new.type,
        "version": new.new_version,
        "running": new.running_version,
    }


def report(entry: Report) -> dict[str, Any]:
    """Return a report for the live stream; of voice segments a summary, without the sound."""
    value = entry.value
    voice = _voice(value) if entry.key in KEYS_VOICE else None
    if voice is None and isinstance(value, str):
        value = value[:TEXT_LIMIT]
    return {
        "ts": entry.ts,
        "key": entry.key,
        "kind": entry.kind,
        **({"value": value} if voice is None else {"voice": voice}),
    }


def _voice(value: object) -> dict[str, Any] | None:
    try:
        segment = parse_segment(value)
        frames = len(unpack_frames(segment.voice_data))
    except WireError:
        return None
    return {"id": segment.id, "segment": segment.segment, "frames": frames, "eof": segment.eof}


def outcome(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the outcome of a sentence (`Outcome.to_json`) with long answers truncated."""
    steps = [step | {"answer": step["answer"][:TEXT_LIMIT]} for step in entry["steps"]]
    return entry | {"steps": steps}


def utterance(spoken: Utterance, decoded: tuple[Pcm, int] | None) -> dict[str, Any]:
    """Return an utterance with its waveform; ``decoded``: its sound and damaged frames, None: not yet."""
    samples, damaged = (decoded[0].samples, decoded[1]) if decoded else (b"", 0)
    return {
        "id": spoken.id,
        "start": spoken.start,
        "rate": spoken.rate,
        "seconds": round(spoken.seconds, 2),
        "segments": len(spoken.stored),
        "missing": spoken.missing,
        "complete": spoken.complete,
        "damaged": damaged,
        "peaks": peaks(samples),
    }
