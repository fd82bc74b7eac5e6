"""Rows of the store as the members that the document's examples show, in their order."""

from __future__ import annotations

from typing import Any

from staging.ota_rules import Status
from staging.store.devices import DeviceView
from staging.store.models import Report
from staging.store.ota import NewVersion, TaskView
from staging.times import iso, iso_or_none
from wire.reports import KEYS_VOICE
from wire.voice import history_text, parse_segment


def device_info(view: DeviceView) -> dict[str, Any]:
    """Render a device as ``GET /device/info/by_uuid`` does (2.6)."""
    device = view.device
    return {
        "id": device.id,
        "uuid": device.uuid,
        "projectId": device.product_id,
        "accountUuid": view.account_uuid,
        "deviceBatchId": device.batch_id,
        "name": device.name,
        "bindToken": device.bind_token,
        "osVersionId": device.os_version_id,
        "status": device.status,
        "version": device.version,
        "activateTime": iso_or_none(device.activate_time),
        "lastHeartbeatTime": iso_or_none(device.last_heartbeat_time),
        "createTime": iso(device.create_time),
        "updateTime": iso(device.update_time),
        "osVersion": view.os_version,
    }


def history_entry(report: Report) -> dict[str, Any]:
    """Render one entry of a history (4.2); voice in the document's ``{id=…,+rate=…}`` form."""
    value = report.value
    if report.key in KEYS_VOICE:
        value = history_text(parse_segment(value))
    return {"timeStamp": report.ts, "value": value, "key": report.key}


def new_version(uuid: str, offer: NewVersion) -> dict[str, Any]:
    """Render what ``GET /device/ota/new_version`` offers (5.1)."""
    return {
        "deviceUuid": uuid,
        "packageId": offer.package_id,
        "strategyId": offer.strategy_id,
        "type": offer.type,
        "newOsVersion": offer.new_version,
        "originalOsVersion": offer.running_version,
        "otaTaskId": offer.task_id,
    }


def update_status(uuid: str, view: TaskView) -> dict[str, Any]:
    """Render a task (5.4), with ``percent`` while it runs and ``failure`` when it failed."""
    task = view.task
    data: dict[str, Any] = {
        "id": task.id,
        "taskId": task.id,
        "deviceUuid": uuid,
        "packageId": task.package_id,
        "otaStrategyId": task.strategy_id,
        "osVersionId": view.os_version_id,
        "status": task.status,
        "eventLog": "".join(f"{line}\n" for line in view.lines),
        "createTime": iso(task.create_time),
        "updateTime": iso(task.update_time),
        "osVersion": view.version,
    }
    if task.status == Status.RUNNING:
        data["percent"] = task.percent or 0
    if task.status == Status.FAILED:
        data["failure"] = task.failure
    return data
