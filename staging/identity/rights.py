"""Who may do what: the roles, how a device stands to an account, and the one table of all routes. No I/O.

``CONSOLE`` and ``API`` have a row for every route of the console and of the open API: the roles that may use
it, which devices it reaches for them, and the name of what it does in the audit log. A route without a row does
not start (console) or is refused (API), and `tests/staging/test_rights.py` tries each row over HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What an account is for; each has what stands before it too, but for the console of a parent."""

    PARENT = "parent"
    """A family: the consent page and the open API; no console."""
    TESTER = "tester"
    """The console for devices under development and for what the tester has bound."""
    OPERATOR = "operator"
    """Also products, apps, versions, strategies, accounts and the audit log."""


EVERY = frozenset(Role)
STAFF = frozenset({Role.TESTER, Role.OPERATOR})
OPERATORS = frozenset({Role.OPERATOR})

# The document's "version" of a device (2.4): 0 in development, 1 in use.
IN_DEVELOPMENT = 0


class Standing(StrEnum):
    """How a device stands to an account."""

    OWN = "own"
    """Bound to it."""
    DEVELOPMENT = "development"
    """Under development, and not bound to it."""
    FREE = "free"
    """In use, and bound to nobody."""
    FAMILY = "family"
    """In use, and bound to somebody else: in a family's hands."""


# What is not verified may run on these.
VERIFYING = frozenset({Standing.OWN, Standing.DEVELOPMENT})


class Reach(StrEnum):
    """Which devices a route reaches."""

    NONE = "none"
    """It is about no device, or about all that `sees` leaves."""
    SEE = "see"
    """Those that the caller sees."""
    OWN = "own"
    """Those that are bound to the caller (★ in the document)."""
    VERIFY = "verify"
    """Those that unverified versions may run on."""
    TOKEN = "token"  # noqa: S105  # the word, not a token
    """Those whose bind token the caller has."""


class Refusal(StrEnum):
    """Why something is refused, as the code of the answer."""

    ROLE = "role"
    FAMILY = "family"
    NOT_BOUND = "1212"
    NOT_FOR_VERIFICATION = "not_for_verification"


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the tables.

    Attributes:
        roles: who may use the route; None: anybody, also without an account.
        reach: which devices it reaches.
        action: what the audit log calls it; empty: it changes nothing and is not logged.
    """

    roles: frozenset[Role] | None
    reach: Reach = Reach.NONE
    action: str = ""


@dataclass(frozen=True, slots=True)
class Viewer:
    """An account that looks at something."""

    account_id: int
    role: Role


def standing(version: int, owner_id: int | None, account_id: int) -> Standing:
    """Return how a device of the document's ``version``, bound to ``owner_id``, stands to an account."""
    if owner_id is not None and owner_id == account_id:
        return Standing.OWN
    if version == IN_DEVELOPMENT:
        return Standing.DEVELOPMENT
    return Standing.FREE if owner_id is None else Standing.FAMILY


def judge(rule: Rule, role: Role, device: Standing | None = None) -> Refusal | None:
    """Return why a route is refused to ``role`` for a device; None: it is allowed."""
    if rule.roles is not None and role not in rule.roles:
        return Refusal.ROLE
    match rule.reach:
        case Reach.SEE if device is Standing.FAMILY and role is not Role.OPERATOR:
            return Refusal.FAMILY
        case Reach.OWN if device is not Standing.OWN:
            return Refusal.NOT_BOUND
        case Reach.VERIFY if device not in VERIFYING:
            return Refusal.NOT_FOR_VERIFICATION
        case _:
            return None


def shows_values(device: Standing, owner_id: int | None) -> bool:
    """Return whether an account sees a device's name and values, and not its state and version alone."""
    return device is Standing.OWN or owner_id is None


_DEVICE = "/api/devices/{uuid}"
_PRODUCT = "/api/products/{product:id}"
_ACCOUNT = "/api/accounts/{account:id}"
_STRATEGY = "/api/strategies/{strategy:id}"
_SEE = Rule(STAFF, Reach.SEE)
_OWN = Rule(STAFF, Reach.OWN)
_OPEN = Rule(None)


def _own(action: str) -> Rule:
    return Rule(STAFF, Reach.OWN, action)


def _operate(action: str = "") -> Rule:
    return Rule(OPERATORS, Reach.NONE, action)


CONSOLE: Mapping[tuple[str, str], Rule] = {
    ("GET", "/api/session"): _OPEN,
    ("POST", "/api/session"): _OPEN,
    ("DELETE", "/api/session"): Rule(STAFF, action="session.end"),
    ("GET", "/api/devices"): Rule(STAFF),
    ("GET", "/api/devices.csv"): Rule(STAFF, action="device.export"),
    ("GET", "/api/device-filters"): Rule(STAFF),
    ("POST", "/api/bulk/preview"): Rule(STAFF),
    ("POST", "/api/bulk"): Rule(STAFF, action="device.bulk"),
    ("POST", "/api/bulk/labels"): _operate("device.labels"),
    ("GET", "/api/bulk/{job:id}"): Rule(STAFF),
    ("POST", f"{_DEVICE}/tags"): Rule(STAFF, Reach.SEE, "device.tag"),
    ("GET", "/api/live"): Rule(STAFF),
    ("GET", _DEVICE): _SEE,
    ("GET", f"{_DEVICE}/live"): _SEE,
    ("POST", f"{_DEVICE}/bind"): Rule(STAFF, Reach.TOKEN, "device.bind"),
    ("POST", f"{_DEVICE}/unbind"): _own("device.unbind"),
    ("PUT", f"{_DEVICE}/name"): _own("device.name"),
    ("POST", f"{_DEVICE}/control"): _own("device.control"),
    ("GET", f"{_DEVICE}/utterances"): _OWN,
    ("GET", f"{_DEVICE}/utterances/{{start:id}}-{{number:id}}.wav"): _OWN,
    ("POST", f"{_DEVICE}/listen"): _own("voice.listen"),
    ("GET", f"{_DEVICE}/outcomes"): _OWN,
    ("POST", f"{_DEVICE}/say"): _own("device.say"),
    ("GET", f"{_DEVICE}/series"): _OWN,
    ("POST", f"{_DEVICE}/update"): _own("update.order"),
    ("POST", f"{_DEVICE}/update/cancel"): _own("update.cancel"),
    ("GET", f"{_DEVICE}/faults"): Rule(STAFF, Reach.VERIFY),
    ("POST", f"{_DEVICE}/faults"): Rule(STAFF, Reach.VERIFY, "fault.set"),
    ("POST", f"{_DEVICE}/faults/clear"): Rule(STAFF, Reach.VERIFY, "fault.clear"),
    ("GET", f"{_DEVICE}/advice"): Rule(STAFF, Reach.VERIFY),
    ("POST", f"{_DEVICE}/advice"): Rule(STAFF, Reach.VERIFY, "advise"),
    ("POST", f"{_DEVICE}/advice/cancel"): Rule(STAFF, Reach.VERIFY, "advise.cancel"),
    ("GET", f"{_DEVICE}/advice/compare"): Rule(STAFF, Reach.VERIFY),
    ("GET", f"{_DEVICE}/advice/{{report:id}}"): Rule(STAFF, Reach.VERIFY),
    ("GET", f"{_DEVICE}/advice/{{report:id}}/{{form}}"): Rule(STAFF, Reach.VERIFY, "advise.export"),
    ("GET", f"{_DEVICE}/wire"): _OWN,
    ("POST", f"{_DEVICE}/wire"): _own("wirelog.on"),
    ("GET", f"{_DEVICE}/wire.jsonl"): _own("wirelog.export"),
    ("GET", f"{_DEVICE}/life"): _OWN,
    ("GET", f"{_DEVICE}/life.jsonl"): _own("life.export"),
    ("GET", f"{_DEVICE}/updates"): _OWN,
    ("POST", f"{_DEVICE}/diag"): _own("device.diag"),
    ("GET", f"{_DEVICE}/diag"): _OWN,
    ("GET", f"{_DEVICE}/diag.tar.gz"): _own("diag.export"),
    ("GET", f"{_DEVICE}/diag/log"): _OWN,
    ("POST", f"{_DEVICE}/profile"): Rule(OPERATORS, Reach.SEE, "device.profile"),
    ("GET", "/api/apps"): _operate(),
    ("POST", "/api/apps"): _operate("app.add"),
    ("POST", "/api/apps/{app:id}/secret/renew"): _operate("app.secret.renew"),
    ("POST", "/api/apps/{app:id}/origins"): _operate("app.origins"),
    ("GET", "/api/explorer"): _operate(),
    ("POST", "/api/explorer/token"): _operate("token.grant"),
    ("POST", "/api/explorer/case"): _operate("explorer.case"),
    ("POST", "/api/me/password"): Rule(STAFF, action="account.password"),
    ("GET", "/api/products"): _operate(),
    ("POST", "/api/products"): _operate("product.add"),
    ("GET", _PRODUCT): _operate(),
    ("POST", f"{_PRODUCT}/batches"): _operate("batch.add"),
    ("POST", f"{_PRODUCT}/points"): _operate("datapoint.add"),
    ("POST", f"{_PRODUCT}/points/template"): _operate("datapoint.template"),
    ("POST", f"{_PRODUCT}/points/remove"): _operate("datapoint.remove"),
    ("POST", f"{_PRODUCT}/apps/{{app:id}}/bind"): _operate("app.bind"),
    ("POST", f"{_PRODUCT}/apps/{{app:id}}/unbind"): _operate("app.unbind"),
    ("GET", "/api/batches/{batch:id}/devices"): _operate(),
    ("GET", "/api/versions"): Rule(STAFF),
    ("PUT", "/api/versions"): _operate("version.add"),
    ("POST", "/api/versions/{package:id}/verify"): Rule(STAFF, Reach.VERIFY, "version.verify"),
    ("POST", "/api/versions/{package:id}/pass"): _operate("version.pass"),
    ("GET", "/api/strategies"): _operate(),
    ("POST", "/api/strategies"): _operate("strategy.add"),
    ("GET", _STRATEGY): _operate(),
    ("GET", f"{_STRATEGY}/preview"): _operate(),
    ("POST", f"{_STRATEGY}/publish"): _operate("strategy.publish"),
    ("POST", f"{_STRATEGY}/pause"): _operate("strategy.pause"),
    ("POST", f"{_STRATEGY}/resume"): _operate("strategy.resume"),
    ("POST", f"{_STRATEGY}/withdraw"): _operate("strategy.withdraw"),
    ("POST", f"{_STRATEGY}/retry"): _operate("strategy.retry"),
    ("POST", f"{_STRATEGY}/open"): _operate("strategy.open"),
    ("PUT", f"{_STRATEGY}/phases"): _operate("strategy.phases"),
    ("GET", "/api/accounts"): _operate(),
    ("POST", "/api/accounts"): _operate("account.add"),
    ("POST", f"{_ACCOUNT}/role"): _operate("account.role"),
    ("POST", f"{_ACCOUNT}/disable"): _operate("account.disable"),
    ("POST", f"{_ACCOUNT}/enable"): _operate("account.enable"),
    ("POST", f"{_ACCOUNT}/password"): _operate("account.password"),
    ("POST", f"{_ACCOUNT}/sessions/revoke"): _operate("session.revoke"),
    ("POST", f"{_ACCOUNT}/tokens/revoke"): _operate("token.revoke"),
    ("GET", "/api/dashboard"): _operate(),
    ("POST", "/api/alarms/{alarm:id}/acknowledge"): _operate("alarm.acknowledge"),
    ("POST", "/api/alarms/settings"): _operate("alarm.settings"),
    ("GET", "/api/webhooks"): _operate(),
    ("POST", "/api/webhooks"): _operate("alarm.webhook.add"),
    ("POST", "/api/webhooks/{webhook:id}/test"): _operate("alarm.webhook.test"),
    ("POST", "/api/webhooks/{webhook:id}/on"): _operate("alarm.webhook.on"),
    ("POST", "/api/webhooks/{webhook:id}/off"): _operate("alarm.webhook.off"),
    ("POST", "/api/webhooks/{webhook:id}/remove"): _operate("alarm.webhook.remove"),
    ("GET", "/api/audit"): _operate(),
    ("GET", "/api/audit.csv"): _operate("audit.export"),
    ("GET", "/api/{rest:path}"): Rule(STAFF),
    ("POST", "/api/{rest:path}"): _operate(),
    ("PUT", "/api/{rest:path}"): _operate(),
    ("DELETE", "/api/{rest:path}"): _operate(),
}
"""The console's routes below ``/console``, by method and path."""

_SIGNED = Rule(EVERY)
_STAR = Rule(EVERY, Reach.OWN)


def _star(action: str) -> Rule:
    return Rule(EVERY, Reach.OWN, action)


API: Mapping[tuple[str, str], Rule] = {
    ("GET", "/account/authorize"): _OPEN,
    ("POST", "/account/authorize"): Rule(None, action="token.grant"),
    ("GET", "/account/validate"): _SIGNED,
    ("GET", "/account/infos"): _SIGNED,
    ("POST", "/device/bind"): Rule(EVERY, Reach.TOKEN, "device.bind"),
    ("PUT", "/device/name/update"): _star("device.name"),
    ("POST", "/device/unbind"): _star("device.unbind"),
    ("GET", "/device/bind/list"): _SIGNED,
    ("GET", "/device/info/by_token"): Rule(EVERY, Reach.TOKEN),
    ("GET", "/device/info/by_uuid"): _STAR,
    ("GET", "/device/resource"): _STAR,
    ("POST", "/device/control/send"): _star("device.control"),
    ("POST", "/device/query/data/connect"): _SIGNED,
    ("GET", "/device/query/data/history"): _STAR,
    ("GET", "/device/query/data/realtime"): _STAR,
    ("GET", "/device/ota/new_version"): _STAR,
    ("GET", "/device/ota/version/info"): _SIGNED,
    ("POST", "/device/ota/update"): _star("update.order"),
    ("GET", "/device/ota/update/status"): _STAR,
    ("GET", "/device/data"): _STAR,
    ("DELETE", "/device/data"): _star("family.erase"),
    ("GET", "/device/data/voice"): _STAR,
    ("DELETE", "/device/data/voice"): _star("voice.erase"),
    ("GET", "/device/data/receipt"): _SIGNED,
    ("GET", "/device/data/audit"): _SIGNED,
}
"""The open API's routes below ``/v1``, by method and path."""

_REACHES = {
    Reach.NONE: "",
    Reach.SEE: "that it sees",
    Reach.OWN: "of its own",
    Reach.VERIFY: "of its own or under development",
    Reach.TOKEN: "whose bind token it has",
}


def document() -> list[str]:
    """Return the lines of the table in docs/accounts.md."""
    lines = ["| route | who | devices | in the audit log |", "|---|---|---|---|"]
    for prefix, table in (("/console", CONSOLE), ("/v1", API)):
        for (method, path), rule in table.items():
            who = "anybody" if rule.roles is None else ", ".join(r for r in Role if r in rule.roles)
            lines.append(
                f"| `{method} {prefix}{path}` | {who} | {_REACHES[rule.reach]} | {rule.action} |"
            )
    return lines
