"""The tables, for SQLite and PostgreSQL. Times are UTC milliseconds since 1970.

Names in the database follow the open API document, in snake case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    false,
    true,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from staging.identity.oauth import ALL_SCOPE
from staging.identity.rights import Role
from staging.store.stored_json import StoredJson
from wire.errors import FieldError
from wire.ota import version_key

if TYPE_CHECKING:
    from sqlalchemy.engine.default import DefaultExecutionContext

# SQLite assigns row ids only for a column of type INTEGER.
BigId = BigInteger().with_variant(Integer, "sqlite")

UNACTIVATED, ACTIVATED = "UNACTIVATED", "ACTIVATED"
ENABLE, DISABLE = "ENABLE", "DISABLE"
PARENT = Role.PARENT.value
DRAFT, PUBLISHED, WITHDRAWN = "DRAFT", "PUBLISHED", "WITHDRAWN"
UNVERIFIED, RELEASED = "UNVERIFIED", "RELEASED"
# What a package's status ends in while its file is not the signed one (`staging.releases.stock`).
DAMAGED = "_DAMAGED"
KIND_REPORT, KIND_RESOURCE = "REPORT", "RESOURCE"


class Base(DeclarativeBase):
    """The base of all tables: maps Python types to column types."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {
        int: BigInteger,
        str: String(255),
        bool: Boolean,
        float: Float,
        dict[str, Any]: StoredJson,
        list[str]: StoredJson,
        list[int]: StoredJson,
        list[list[int]]: StoredJson,
    }


def version_place(version: str) -> str:
    """Return a text that sorts as versions do, by any database's order of texts; "" for what is no version."""
    try:
        return ".".join(f"{part:010}" for part in version_key(version))
    except FieldError:
        return ""


def _place_of_row(context: DefaultExecutionContext) -> str:
    values: dict[str, Any] = context.get_current_parameters()  # type: ignore[no-untyped-call]  # SQLAlchemy's
    return version_place(values["version"])


class Product(Base):
    """A product; the open API calls it project."""

    __tablename__ = "products"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    # Shown by the open API next to the product's name (2.4).
    type: Mapped[str] = mapped_column(String(16), default="WIFI", server_default="WIFI")
    series_name: Mapped[str] = mapped_column(default="故事机", server_default="故事机")
    # Used for a device without a self-description of its own.
    data_points: Mapped[dict[str, Any]]
    create_time: Mapped[int]


class Batch(Base):
    """A production batch of a product's devices."""

    __tablename__ = "batches"
    __table_args__ = (UniqueConstraint("product_id", "name"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
    name: Mapped[str]
    # The account that made it at the console, which alone may take its devices' profiles, once each.
    made_by: Mapped[int | None]


class OsVersion(Base):
    """A version that some device runs or some package brings."""

    __tablename__ = "os_versions"
    __table_args__ = (UniqueConstraint("product_id", "version"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
    version: Mapped[str]
    # Where it stands among versions: a text that sorts as `wire.ota.version_key` does.
    place: Mapped[str] = mapped_column(default=_place_of_row, server_default="")


class Device(Base):
    """A story machine."""

    __tablename__ = "devices"
    __table_args__ = (
        # What the list of devices filters and sorts by, so that it does not read the rows: a self-description alone
        # is a page of the file. When a device was heard last is not in it, which changes each minute.
        Index(
            "ix_devices_list", "product_id", "batch_id", "os_version_id", "version", "status", "battery",
            "volume", "uuid", "name", "create_time", "id",
        ),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    uuid: Mapped[str] = mapped_column(unique=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"), index=True)
    batch_id: Mapped[int] = mapped_column(ForeignKey("batches.id"))
    os_version_id: Mapped[int] = mapped_column(ForeignKey("os_versions.id"))
    # Stored in plain text, because `device profile` must be able to print it again.
    token: Mapped[str]
    # When the token was renewed; grows from one renewal to the next, over all devices. 0: never.
    token_time: Mapped[int] = mapped_column(default=0, server_default="0", index=True)
    bind_token: Mapped[str | None]
    # The device reported another bind token than the stored one, which was kept.
    bind_token_differs: Mapped[bool] = mapped_column(default=False)
    # What takes the bind token's place once the device has it on its disk (`store.bind_tokens`).
    next_bind_token: Mapped[str | None]
    # Whether its firmware takes a new bind token; None: it has not said what it reads.
    renews: Mapped[bool | None]
    # Accounts that have gone and know the present bind token: it does not bind for them.
    barred: Mapped[list[int]] = mapped_column(default=list, server_default="[]")
    # All that is stored up to this time (ms) is of a family that has gone (`store.family`).
    family_since: Mapped[int] = mapped_column(default=0, server_default="0")
    # An utterance that was cut off while it came: the rest of it is not stored either.
    cut_utterance: Mapped[int | None]
    # The document's "version": 0 in development, 1 in use.
    version: Mapped[int] = mapped_column(default=1)
    name: Mapped[str] = mapped_column(default="")
    status: Mapped[str] = mapped_column(default=UNACTIVATED)
    activate_time: Mapped[int | None]
    last_heartbeat_time: Mapped[int | None]
    create_time: Mapped[int]
    update_time: Mapped[int]
    # When its profile was handed out for flashing (`batch export`); None: not yet.
    issue_time: Mapped[int | None]
    # The self-description as the device sent it; None: the product's data points apply.
    description: Mapped[dict[str, Any] | None] = mapped_column(StoredJson(none_as_null=True))
    # A device's history timestamps always increase, even if the wall clock does not.
    last_report_ms: Mapped[int] = mapped_column(default=0)
    # The values that its present family's machine reported last, for the list's order; None: none, or no number.
    battery: Mapped[int | None]
    volume: Mapped[int | None]
    # SHA-256 of the SBOM of what it runs, and of its base install, as it reported them last.
    sbom: Mapped[str | None] = mapped_column(String(64))
    base_sbom: Mapped[str | None] = mapped_column(String(64))
    # The day until which what it runs is supported, YYYY-MM-DD, as it reported it last.
    support_end: Mapped[str | None] = mapped_column(String(10))


class App(Base):
    """An app that may call the open API; ``secret`` depends on its type (`apps.AppType`)."""

    __tablename__ = "apps"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str]
    type: Mapped[str]
    apikey: Mapped[str] = mapped_column(unique=True)
    secret: Mapped[str]
    # The scopes that users may grant it, and its redirect URIs (1.1).
    scopes: Mapped[list[str]] = mapped_column(
        default=lambda: [ALL_SCOPE], server_default='["allScope"]'
    )
    redirect_uris: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    # The origins of its web pages, which browsers let call the API (CORS).
    web_origins: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    create_time: Mapped[int]


class AppProduct(Base):
    """An app may control the devices of the products it is bound to."""

    __tablename__ = "app_products"

    app_id: Mapped[int] = mapped_column(ForeignKey("apps.id"), primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"), primary_key=True)


class Account(Base):
    """A user."""

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    uuid: Mapped[str] = mapped_column(unique=True)
    user_name: Mapped[str] = mapped_column(unique=True)
    status: Mapped[str] = mapped_column(default=ENABLE)
    # A hash of `staging.identity.passwords`; None: the account cannot log in.
    password: Mapped[str | None]
    # A value of `staging.identity.rights.Role`.
    role: Mapped[str] = mapped_column(String(16), default=PARENT, server_default=PARENT)
    # Counts what ends all sessions of the account; a session knows the number that it began with.
    generation: Mapped[int] = mapped_column(default=0, server_default="0")
    create_time: Mapped[int]


class AuditEntry(Base):
    """Who did what to which device or account; `staging.store.audit` writes and reads it.

    Accounts are named by text and number without a foreign key: what they did stays when they are gone.
    """

    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_device", "device", "id"),
        Index("ix_audit_subject", "subject_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    ts: Mapped[int]
    # A value of `audit.Source`.
    source: Mapped[str] = mapped_column(String(16))
    # The user name of who did it; of a command, the system's user.
    actor: Mapped[str]
    actor_id: Mapped[int | None]
    role: Mapped[str] = mapped_column(String(16))
    # The name of the app by which it was done.
    app: Mapped[str]
    action: Mapped[str] = mapped_column(String(64))
    device: Mapped[str] = mapped_column(String(14))
    # The account whose device or account it was done to.
    subject_id: Mapped[int | None]
    target: Mapped[str]
    outcome: Mapped[str] = mapped_column(String(32))


class AccessToken(Base):
    """A user's grant to an app; only the token's SHA-256 is stored, not the token."""

    __tablename__ = "access_tokens"

    digest: Mapped[str] = mapped_column(primary_key=True)
    app_id: Mapped[int] = mapped_column(ForeignKey("apps.id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    # Joined by commas, as in the open API.
    scope: Mapped[str] = mapped_column(default=ALL_SCOPE, server_default=ALL_SCOPE)
    expire_time: Mapped[int] = mapped_column(index=True)


class KnownAddress(Base):
    """An address from which an account has logged in (`staging.store.known_addresses`)."""

    __tablename__ = "known_addresses"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    use_time: Mapped[int]


class UsedNonce(Base):
    """A nonce that an app signed with; a second use is refused."""

    __tablename__ = "used_nonces"

    app_id: Mapped[int] = mapped_column(ForeignKey("apps.id"), primary_key=True)
    nonce: Mapped[str] = mapped_column(primary_key=True)
    use_time: Mapped[int] = mapped_column(index=True)


class Binding(Base):
    """The account that a device belongs to; at most one."""

    __tablename__ = "bindings"

    device_id: Mapped[int] = mapped_column(ForeignKey("devices.id"), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), index=True)
    create_time: Mapped[int]
    # False: bound with a token that was about to be renewed, which others may know.
    proven: Mapped[bool] = mapped_column(default=True, server_default=true())


class PresenceChange(Base):
    """A device came on line or went; `staging.store.presence` writes and prunes it."""

    __tablename__ = "presence"
    __table_args__ = (Index("ix_presence_device", "device_id", "ts"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    device_id: Mapped[int] = mapped_column(ForeignKey("devices.id"))
    ts: Mapped[int]
    online: Mapped[bool]
    # Why it went, in English.
    reason: Mapped[str]


class Report(Base):
    """One entry of a device's history; ``ts`` is unique within the device and increases."""

    __tablename__ = "reports"
    __table_args__ = (
        # One per query filter, so that a page's time does not grow with the device's history.
        Index("ix_reports_key", "device_id", "key", "ts"),
        Index("ix_reports_kind", "device_id", "kind", "ts"),
        Index("ix_reports_key_kind", "device_id", "key", "kind", "ts"),
    )

    device_id: Mapped[int] = mapped_column(ForeignKey("devices.id"), primary_key=True)
    ts: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    key: Mapped[str]
    kind: Mapped[str] = mapped_column(String(16))
    # none_as_null is off: a device may report JSON null, which is a value.
    value: Mapped[Any] = mapped_column(StoredJson)


class ReportEpoch(Base):
    """The numbers of a device's reports that arrived, of one start of its agent."""

    __tablename__ = "report_epochs"

    device_id: Mapped[int] = mapped_column(ForeignKey("devices.id"), primary_key=True)
    epoch: Mapped[str] = mapped_column(String(16), primary_key=True)
    # Ranges of numbers, each [first, last], ascending.
    ranges: Mapped[list[list[int]]]
    use_time: Mapped[int]


class VoiceEntry(Base):
    """One utterance in the ledger of the child's voice; it stays when the voice is erased."""

    __tablename__ = "voice_ledger"
    __table_args__ = (Index("ix_voice_ledger_start", "device_id", "start"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    device_id: Mapped[int] = mapped_column(ForeignKey("devices.id"))
    # The number in its segments; it comes again after 100,000 utterances.
    utterance: Mapped[int]
    # When its first and its last segment arrived, ms.
    start: Mapped[int]
    last: Mapped[int]
    complete: Mapped[bool] = mapped_column(default=False)
    segments: Mapped[int] = mapped_column(default=0)
    frames: Mapped[int] = mapped_column(default=0)
    # Of the frames and their headers, as they came.
    size: Mapped[int] = mapped_column(default=0)
    # What opened the microphone (`wire.family.Why`), and how it ended, as the device told.
    why: Mapped[str | None] = mapped_column(String(32))
    result: Mapped[str | None] = mapped_column(String(32))
    # When the voice was erased, and by what: a kind of `Erasure`, or "days".
    erase_time: Mapped[int | None]
    erased_by: Mapped[str | None] = mapped_column(String(16))


class Erasure(Base):
    """An order to erase what is a family's; its ``receipt`` tells whether it is done."""

    __tablename__ = "erasures"

    receipt: Mapped[str] = mapped_column(String(32), primary_key=True)
    device_id: Mapped[int] = mapped_column(ForeignKey("devices.id"), index=True)
    # Who ordered it; None: the device did.
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"))
    kind: Mapped[str] = mapped_column(String(16))
    # Everything up to this time (ms), or the utterances of these entries alone.
    until: Mapped[int]
    entries: Mapped[list[int]] = mapped_column(default=list)
    utterances: Mapped[int] = mapped_column(default=0)
    row_count: Mapped[int] = mapped_column(default=0)
    order_time: Mapped[int]
    done_time: Mapped[int | None] = mapped_column(index=True)


class Package(Base):
    """A release that devices can be updated to; ``path`` is below the repository's ``targets/``."""

    __tablename__ = "packages"
    __table_args__ = (UniqueConstraint("os_version_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
    os_version_id: Mapped[int] = mapped_column(ForeignKey("os_versions.id"))
    path: Mapped[str] = mapped_column(Text)
    size: Mapped[int]
    md5: Mapped[str]
    sha256: Mapped[str]
    description: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(default=RELEASED)
    # SHA-256 of the SBOM in it; None: it has none (`Sbom` may not hold it yet either).
    sbom: Mapped[str | None] = mapped_column(String(64))
    create_time: Mapped[int]
    update_time: Mapped[int]


class Sbom(Base):
    """A list of parts (CycloneDX), as it came with a release or by ``sbom add``."""

    __tablename__ = "sboms"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    # Of the component that it describes.
    name: Mapped[str]
    version: Mapped[str]
    document: Mapped[str] = mapped_column(Text)
    create_time: Mapped[int]


class SbomPart(Base):
    """One part of an SBOM; ``name`` as the package index spells it (PEP 503)."""

    __tablename__ = "sbom_parts"
    __table_args__ = (Index("ix_sbom_parts_name", "name"),)

    sbom_id: Mapped[int] = mapped_column(ForeignKey("sboms.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(primary_key=True)
    # False: what it describes was built against this, and does not bring it.
    bundled: Mapped[bool]


class Strategy(Base):
    """Which devices a package is offered to; an empty list allows every version or batch."""

    __tablename__ = "strategies"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    package_id: Mapped[int] = mapped_column(ForeignKey("packages.id"))
    type: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16), default=DRAFT)
    from_versions: Mapped[list[str]]
    batches: Mapped[list[str]]
    # Devices restart into it at once, even during a story or outside their window.
    forced: Mapped[bool] = mapped_column(default=False, server_default=false())
    create_time: Mapped[int]


class OtaTask(Base):
    """One order to one device; its id is the transaction of the order and of the events."""

    __tablename__ = "ota_tasks"
    __table_args__ = (
        Index("ix_ota_tasks_status", "status", "device_id"),
        Index("ix_ota_tasks_strategy", "strategy_id", "device_id"),
        Index("ix_ota_tasks_cancel", "cancel", "update_time"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    device_id: Mapped[int] = mapped_column(ForeignKey("devices.id"), index=True)
    package_id: Mapped[int] = mapped_column(ForeignKey("packages.id"))
    # None: an order to verify a package that is not released yet.
    strategy_id: Mapped[int | None] = mapped_column(ForeignKey("strategies.id"))
    status: Mapped[str] = mapped_column(String(16))
    percent: Mapped[float | None]
    failure: Mapped[str | None] = mapped_column(Text)
    # Event 10 was received; together with the running version it makes SUCCESS.
    installed: Mapped[bool] = mapped_column(default=False)
    # The device answered the order with 2.04; until then it is sent again.
    accepted: Mapped[bool] = mapped_column(default=False)
    # A value of `order_rules.Cancel`.
    cancel: Mapped[str] = mapped_column(String(16), default="", server_default="")
    # The version that the device ran when it was ordered; None: ordered before this was kept.
    from_version_id: Mapped[int | None]
    create_time: Mapped[int]
    update_time: Mapped[int]
    # When it became what it is if that is SUCCESS or FAILED; None: it runs, or ended before this was kept.
    end_time: Mapped[int | None]


class OtaEventLine(Base):
    """One line of a task's ``eventLog``; ``event`` is None for the order's own line."""

    __tablename__ = "ota_events"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("ota_tasks.id"), index=True)
    ts: Mapped[int]
    event: Mapped[int | None]
    percent: Mapped[float | None]
    text: Mapped[str] = mapped_column(Text)
