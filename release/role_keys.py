"""Changes a role's keys and delegates products to roles of their own, in memory only."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from release.errors import ReleaseToolError
from release.roles import ONLINE_ROLES, TOP_ROLES, Roles, delegated, delegator_of
from release.tuf_types import DelegatedRole, Delegations, Key, TargetFile, Targets
from wire.names import check_product

# By role: the function that changes its signed part.
Changes = dict[str, Callable[[Any], None]]


@dataclass(frozen=True, slots=True)
class KeyCount:
    """The number of keys of a role, and how many of them must sign."""

    keys: int = 1
    threshold: int = 1

    def check(self, role: str) -> None:
        """Raise ReleaseToolError for a threshold that cannot be reached."""
        if not 1 <= self.threshold <= self.keys:
            reason = f"threshold {self.threshold} of {self.keys} keys cannot be reached"
            raise ReleaseToolError(f"{role}: {reason}")


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A change of a role's keys.

    Attributes:
        role: a top-level role, or a product, which gets a delegation if it has none yet.
        revoke: ids of the keys to remove; None: all present ones.
        threshold: how many keys must sign; None: unchanged.
    """

    role: str
    revoke: Sequence[str] | None = ()
    threshold: int | None = None

    def check(self, roles: Roles, coming: int) -> None:
        """Try the change on a copy, adding ``coming`` keys; raises ReleaseToolError, WireError."""
        if self.role not in TOP_ROLES:
            check_product(self.role)
        self._apply(copy.deepcopy(delegator_of(self.role, roles)), (), coming)

    def changes(self, roles: Roles, add: Sequence[Key]) -> Changes:
        """Return the change of each affected role.

        When a product gets its own role, its releases move there.
        """

        def rekey(signed: Any) -> None:
            self._apply(signed, add)

        if self.role in TOP_ROLES:
            # Targets must be signed again with its new keys; the online roles are signed at every
            # publication.
            anew = {} if self.role in {"root", *ONLINE_ROLES} else {self.role: _as_it_is}
            return {"root": rekey, **anew}
        targets = roles["targets"].signed
        if self.role in delegated(targets):
            return {"targets": rekey, self.role: _as_it_is}
        moved = _products_targets(targets, self.role)

        def empty(signed: Any) -> None:
            rekey(signed)
            for path in moved:
                del signed.targets[path]

        return {"targets": empty, self.role: lambda signed: signed.targets.update(moved)}

    def _apply(self, signed: Any, add: Sequence[Key], coming: int = 0) -> None:
        if self.role not in TOP_ROLES and self.role not in delegated(signed):
            _delegate(signed, self.role)
        keys = signed.get_delegated_role(self.role)
        for keyid in list(keys.keyids) if self.revoke is None else self.revoke:
            if keyid not in keys.keyids:
                raise ReleaseToolError(f"{self.role}: has no key {keyid}")
            signed.revoke_key(keyid, self.role)
        for key in add:
            signed.add_key(key, self.role)
        keys.threshold = keys.threshold if self.threshold is None else self.threshold
        KeyCount(len(keys.keyids) + coming, keys.threshold).check(self.role)


def _as_it_is(_signed: Any) -> None:
    """Change nothing; the caller sets a new version and expiry."""


def role_of(product: str, roles: Roles) -> str:
    """Return the role that signs a product's releases: its own, or targets."""
    return product if product in delegated(roles["targets"].signed) else "targets"


def _delegate(targets: Targets, product: str) -> None:
    """Delegate a product to its own role; terminating, so clients search no other role for it."""
    if targets.delegations is None:
        targets.delegations = Delegations({}, {})
    role = DelegatedRole(product, [], 1, terminating=True, paths=[f"{product}/*"])
    assert targets.delegations.roles is not None  # noqa: S101  # the constructor set it
    targets.delegations.roles[product] = role


def _products_targets(targets: Targets, product: str) -> dict[str, TargetFile]:
    return {
        path: target for path, target in targets.targets.items() if path.startswith(f"{product}/")
    }
