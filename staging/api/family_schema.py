"""The response models of what is ours below ``/device/data``, for the OpenAPI description only."""

# The members are spelled as the document's are.
# ruff: noqa: N815

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from staging.api.schema import Time, Uuid


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Utterance(_Strict):
    """One utterance in the ledger of the child's voice."""

    id: Annotated[int, Field(description="of this entry; DELETE takes it")]
    utterance: Annotated[int, Field(description="the number in the voice segments")]
    time: Time
    why: Annotated[
        str | None,
        Field(description="what opened the microphone: button, word, command, cloud; file: none"),
    ]
    result: Annotated[str | None, Field(description="how listening ended, as the device told")]
    seconds: float
    bytes: int
    complete: bool
    places: Annotated[
        list[Literal["history"]],
        Field(description="where the sound is in this cloud; nowhere else was it ever stored"),
    ]
    deleteTime: Annotated[
        Time | None, Field(description="when it is deleted by itself; null: never")
    ]
    eraseTime: Time | None
    erasedBy: Annotated[
        str | None, Field(description="days: it was old; else the kind of the order to erase it")
    ]


class Ledger(_Strict):
    """One page of the ledger, newest first."""

    data: list[Utterance]
    code: Annotated[str, Field(examples=["0"])]
    message: str
    nextPage: Annotated[int | None, Field(description="for the next page; null on the last one")]
    limit: int


class Receipt(_Strict):
    """An order to erase. WAITING: nobody sees it any more, and it is deleted within a minute."""

    receipt: str
    deviceUuid: Uuid
    kind: Literal["unbind", "all", "voice", "utterances", "device"]
    status: Literal["WAITING", "DONE"]
    utterances: int
    rows: int
    orderTime: Time
    doneTime: Time | None
    backups: str


class Erased(_Strict):
    """What was ordered to be erased."""

    data: Receipt
    code: Annotated[str, Field(examples=["0"])]
    message: str
    total: Literal[1]
