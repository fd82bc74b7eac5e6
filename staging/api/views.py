"""Renders rows of the store with the members of the document's examples, in their order."""

from __future__ import annotations

from typing import Any

from staging.store.devices import DeviceView
from staging.store.models import DAMAGED, KIND_REPORT, Account, Package, Report
from staging.store.order_rules import Status
from staging.store.ota import NewVersion, TaskView
from staging.store.releases import StrategyType
from staging.times import iso, iso_or_none
from wire.errors import WireError
from wire.reports import KEYS_VOICE
from wire.voice import history_text, parse_segment

# The document's only value; this cloud's accounts take the place of Baidu Passport's.
ORIGIN_TYPE = "USER_BAIDU_PASSPORT"
# The id of a verification's strategy, which it has none of; ids begin at 1.
NO_STRATEGY = 0


def account_info(account: Account) -> dict[str, Any]:
    """Render an account (1.3); its uuid is ``5_`` and the originId."""
    return {
        "uuid": account.uuid,
        "originId": account.uuid.partition("_")[2],
        "originType": ORIGIN_TYPE,
        "userName": account.user_name,
        "displayName": account.user_name,
        "status": account.status,
        "createTime": iso(account.create_time),
    }


def device_info(view: DeviceView) -> dict[str, Any]:
    """Render a device as ``GET /device/info/by_uuid`` does (2.6)."""
    return device(view) | {"osVersion": view.os_version}


def device_entry(view: DeviceView) -> dict[str, Any]:
    """Render an entry of ``GET /device/bind/list`` (2.4), where the uuid has another name."""
    entry = device_info(view) | _product(view)
    del entry["uuid"]
    return entry


def device_by_token(view: DeviceView, *, mine: bool = True) -> dict[str, Any]:
    """Render a device as ``GET /device/info/by_token`` does (2.5).

    ``mine``: nobody else has it; the name that another family gave it, and its account, are not shown.
    """
    shown = device_info(view) | _product(view) | {"batchName": view.batch}
    return shown if mine else shown | {"name": "", "accountUuid": None}


def _product(view: DeviceView) -> dict[str, Any]:
    return {
        "deviceUuid": view.device.uuid,
        "projectName": view.product,
        "type": view.type,
        "seriesName": view.series,
    }


def device(view: DeviceView) -> dict[str, Any]:
    """Render the members that each of the document's views of a device begins with (2.2)."""
    device = view.device
    return {
        "id": device.id,
        "uuid": device.uuid,
        "projectId": device.product_id,
        "accountUuid": view.account_uuid,
        "deviceBatchId": device.batch_id,
        "name": device.name,
        # Who has bound it with an old token does not learn the one that only the machine shows.
        "bindToken": None if view.proven is False else device.bind_token,
        "osVersionId": device.os_version_id,
        "status": device.status,
        "version": device.version,
        "activateTime": iso_or_none(device.activate_time),
        "lastHeartbeatTime": iso_or_none(device.last_heartbeat_time),
        "createTime": iso(device.create_time),
        "updateTime": iso(device.update_time),
    }


def history_entry(report: Report) -> dict[str, Any]:
    """Render one entry of a history (4.2); voice in the document's ``{id=…,+rate=…}`` form."""
    return {"timeStamp": report.ts, "value": _value(report), "key": report.key}


def realtime(report: Report) -> dict[str, Any]:
    """Render a data point's latest value (4.3)."""
    return {"value": _value(report), "timeStamp": report.ts}


def _value(report: Report) -> object:
    # Only a report is a voice segment; a data point may have the same name.
    if report.key in KEYS_VOICE and report.kind == KIND_REPORT:
        try:
            return history_text(parse_segment(report.value))
        except WireError:
            # From before the gateway refused it, or damaged: it spoils no other.
            return report.value
    return report.value


def version_info(package: Package, version: str) -> dict[str, Any]:
    """Render a package (5.2)."""
    return {
        "id": package.id,
        "projectId": package.product_id,
        "osVersionId": package.os_version_id,
        "description": package.description,
        "size": package.size,
        "status": package.status.removesuffix(DAMAGED),  # the document has two
        "createTime": iso(package.create_time),
        "updateTime": iso(package.update_time),
        "osVersion": version,
    }


def new_version(uuid: str, offer: NewVersion) -> dict[str, Any]:
    """Render an offer of ``GET /device/ota/new_version`` (5.1).

    The document's table knows an offer without an order as ``PASSIVE`` only: until the cloud orders what a silent
    strategy offers, the user may. A verification has no strategy, and 0 for it.
    """
    return {
        "deviceUuid": uuid,
        "packageId": offer.package_id,
        "strategyId": offer.strategy_id or NO_STRATEGY,
        "type": offer.type if offer.task_id else StrategyType.PASSIVE.value,
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
        "otaStrategyId": task.strategy_id or NO_STRATEGY,
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
