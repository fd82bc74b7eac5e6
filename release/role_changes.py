"""Describes what a staged role would change, line by line, for the people who are asked to sign it.

The repository folder is handled by many people and by the machine that serves it, so anybody may
have put a staged role there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from securesystemslib.formats import encode_canonical

from release.roles import Roles

# Members that change with every version, or that are described in separate lines.
_DESCRIBED = {"version", "expires", "keys", "roles", "delegations", "targets"}


def describe_staged(published: Roles, staged: Roles) -> dict[str, list[str]]:
    """Return for each staged role what it would change, line by line."""
    return {
        role: describe_changes(published[role].signed if role in published else None, draft.signed)
        for role, draft in staged.items()
    }


def describe_changes(before: Any | None, after: Any) -> list[str]:
    """Return one line for each difference between two signed parts of a role.

    ``before`` is None for a new role.
    """
    old = {} if before is None else before.to_dict()
    new = after.to_dict()
    lines = [f"version {old.get('version', 'none')} -> {new['version']}, until {new['expires']}"]
    lines += _roles(_delegated(old), _delegated(new))
    lines += _misnamed(new)
    lines += _members("target", old.get("targets", {}), new.get("targets", {}))
    names = old.keys() | new.keys() if old else set()
    lines += _members("", *({k: d.get(k) for k in sorted(names - _DESCRIBED)} for d in (old, new)))
    return lines


def _delegated(signed: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the roles that a signed root or targets part delegates to, by name."""
    if "roles" in signed:
        return dict(signed["roles"])
    roles = (signed.get("delegations") or {}).get("roles") or []
    return {role["name"]: role for role in roles}


def _roles(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(old.keys() | new.keys()):
        was, now = old.get(name, {}), new.get(name, {})
        for text, some, others in (("loses", was, now), ("gets", now, was)):
            for keyid in some.get("keyids", ()):
                if keyid not in others.get("keyids", ()):
                    yield f"{name} {text} key {keyid}"
        rest = [{k: v for k, v in role.items() if k != "keyids"} for role in (was, now)]
        yield from _members(name, *rest)


def _misnamed(signed: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each key that does not match its id.

    An attacker's key could otherwise be listed under an id that the signer knows.
    """
    keys = signed.get("keys") or (signed.get("delegations") or {}).get("keys") or {}
    for keyid, key in sorted(keys.items()):
        text = encode_canonical({name: key.get(name) for name in ("keytype", "scheme", "keyval")})
        if keyid != hashlib.sha256(str(text).encode()).hexdigest():
            yield f"key {keyid} is another key than its id says"


def _members(what: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield f"{what} {name}: {_show(old.get(name))} -> {_show(new.get(name))}".strip()


def _show(value: object) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)
