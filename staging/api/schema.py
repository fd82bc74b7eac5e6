"""The response models of the endpoints, for the OpenAPI description only.

The endpoints build their JSON themselves (`views`), so these classes cost nothing at run time. The
tests compare both with each other and with the document's examples.
"""

# The names of the members are the document's.
# ruff: noqa: N815

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Time = Annotated[str, Field(description="UTC", examples=["2017-06-07T02:46:30Z"])]
Ms = Annotated[int, Field(description="milliseconds since 1970", examples=[1495044775000])]
Uuid = Annotated[str, Field(examples=["0083000000000a"])]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Answer(_Strict):
    code: Annotated[str, Field(examples=["0"])]
    message: str


class _One(_Answer):
    total: Literal[1]


class Failure(_Strict):
    """Any error: ``code`` is one of the document's table, or repeats the HTTP status."""

    data: None
    code: Annotated[str, Field(examples=["1212"])]
    message: Annotated[str, Field(examples=["user and devices do not bind: 0083000000000a"])]


class FailureByNumber(_Strict):
    """Any error; here the document's code is a number."""

    data: None
    code: Annotated[int, Field(examples=[1212])]
    message: Annotated[str, Field(examples=["user and devices do not bind: 0083000000000a"])]


class Done(_Answer):
    """Success."""

    data: Literal[True]


class DoneByNumber(_Strict):
    """Success; here the document's code is a number."""

    data: Literal[True]
    code: Literal[0]
    message: str


class Ordered(_One):
    """The update is ordered."""

    data: Literal[True]


class Account(_Strict):
    """A user."""

    uuid: str
    originId: str
    originType: str
    userName: str
    displayName: str
    status: str
    createTime: Time


class AccountInfo(_Answer):
    """The account that the token belongs to."""

    data: Account


class DeviceBase(_Strict):
    """The members that all views of a device share, without the uuid, whose name differs."""

    id: int
    projectId: int
    accountUuid: str | None
    deviceBatchId: int
    name: str
    bindToken: str | None
    osVersionId: int
    status: Literal["UNACTIVATED", "ACTIVATED"]
    version: Annotated[Literal[0, 1], Field(description="0: in development, 1: in use")]
    activateTime: Time | None
    lastHeartbeatTime: Time | None
    createTime: Time
    updateTime: Time


class Device(DeviceBase):
    """A device."""

    uuid: Uuid


class DeviceWithVersion(Device):
    """A device with the version that it runs."""

    osVersion: str


class ListedDevice(DeviceBase):
    """A device with the names of its product and series."""

    osVersion: str
    deviceUuid: Uuid
    projectName: str
    type: str
    seriesName: str


class WholeDevice(ListedDevice):
    """A device with all known members."""

    uuid: Uuid
    batchName: str


class DeviceNamed(_One):
    """The device with its new name."""

    data: Device


class DeviceInfo(_One):
    """A bound device."""

    data: DeviceWithVersion


class DeviceByToken(_One):
    """A device of which the caller has the bind token."""

    data: WholeDevice


class DeviceList(_Strict):
    """One page of the account's devices; ``total`` counts all of them."""

    data: list[ListedDevice]
    code: Literal[0]
    message: str
    limit: int
    start: int
    total: int


class DataPoint(BaseModel):
    """A data point as the device describes it; it may have more members."""

    name: str
    resourceType: str
    type: Literal["string", "int", "bool"]
    label: str
    description: str
    pattern: dict[str, Any] | None = None
    uri: str
    protocol: list[str]
    method: list[Literal["GET", "PUT"]]


class SelfDescription(BaseModel):
    """A device's data points and reports; it may have more members."""

    resources: list[DataPoint]
    report: list[Any]


class Resource(_One):
    """The device's self-description."""

    data: SelfDescription


class ControlResult(_Strict):
    """The device's answer; ``code`` is its CoAP code, also if it refuses."""

    code: Annotated[str, Field(pattern=r"^\d\.\d\d$", examples=["2.05"])]
    content: Annotated[str, Field(examples=["75"])]
    name: Annotated[str, Field(examples=["power"])]


class Control(_One):
    """The device's answer."""

    data: ControlResult


class Online(_Strict):
    """Whether a device is online."""

    deviceUuid: Uuid
    status: bool


class Connect(_One):
    """One entry for each requested uuid."""

    data: list[Online]


class HistoryEntry(_Strict):
    """One value; a voice segment is text such as ``{id=108956,+rate=8000,+segment=15,+eof=true,…}``."""

    timeStamp: Ms
    value: Any
    key: str


class History(_Answer):
    """One page, newest first; ``nextPage`` is the cursor of the next, null at the end."""

    data: list[HistoryEntry]
    nextPage: int | None
    limit: int


class Latest(_Strict):
    """A value and its time."""

    value: Any
    timeStamp: Ms


class Realtime(_One):
    """The data point's latest value; null if there is none yet."""

    data: Latest | None


class Offer(_Strict):
    """The update offered to a device; ``otaTaskId`` is above 0 while it is being updated."""

    deviceUuid: Uuid
    packageId: int
    strategyId: int
    type: Literal["PASSIVE", "SILENT"]
    newOsVersion: str
    originalOsVersion: str
    otaTaskId: int


class NewVersion(_One):
    """The offered update; null if the device needs none."""

    data: Offer | None


class Version(_Strict):
    """A version that devices can be updated to; ``size`` in bytes."""

    id: int
    projectId: int
    osVersionId: int
    description: str
    size: int
    status: Literal["UNVERIFIED", "RELEASED"]
    createTime: Time
    updateTime: Time
    osVersion: str


class VersionInfo(_One):
    """The version."""

    data: Version


class Task(_Strict):
    """An update; ``percent`` (0 to 1) with RUNNING, ``failure`` with FAILED."""

    id: int
    taskId: int
    deviceUuid: Uuid
    packageId: int
    otaStrategyId: int
    osVersionId: int
    status: Literal["CREATED", "RUNNING", "INSTALLED", "SUCCESS", "FAILED"]
    eventLog: str
    createTime: Time
    updateTime: Time
    osVersion: str
    percent: float | None = None
    failure: str | None = None


class UpdateStatus(_One):
    """The device's latest update."""

    data: Task


class AuditEntry(_Strict):
    """One thing that was done to the caller's device or account."""

    time: Time
    deviceUuid: Uuid | None
    action: Annotated[str, Field(examples=["device.unbind"])]
    by: Annotated[
        str, Field(description="parent, tester, operator, or command", examples=["parent"])
    ]
    you: Annotated[bool, Field(description="whether the caller did it")]
    app: Annotated[str | None, Field(description="the app by which it was done")]
    source: Annotated[str, Field(description="api, console, command or upgrade")]
    target: str
    outcome: Annotated[str, Field(description="done, or the code of the refusal")]


class Audit(_Answer):
    """A page of what was done, newest first."""

    data: list[AuditEntry]
    nextPage: Annotated[int | None, Field(description="the next page's nextPage; null: no more")]
    limit: int
