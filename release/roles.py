"""What a repository's roles lack, and which of them may be published together; no I/O.

A role is complete if enough keys of its delegator signed it: root names the keys of the top-level
roles, targets those of the products' roles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from securesystemslib.exceptions import UnverifiedSignatureError
from tuf.api.exceptions import UnsignedMetadataError

from release.errors import ReleaseToolError
from release.tuf_types import DelegatedRole, Key, Metadata, Root, Targets

TOP_ROLES = ("root", "targets", "snapshot", "timestamp")
ONLINE_ROLES = ("snapshot", "timestamp")

Roles = dict[str, Metadata[Any]]


def delegator_of(role: str, roles: Mapping[str, Metadata[Any]]) -> Any:
    """Return the signed part (root or targets) that lists the keys of ``role``."""
    return roles["root" if role in TOP_ROLES else "targets"].signed


def role_keys(role: str, roles: Mapping[str, Metadata[Any]]) -> Any:
    """Return the keys and threshold of ``role``; raises ReleaseToolError if it is not delegated."""
    try:
        return delegator_of(role, roles).get_delegated_role(role)
    except ValueError as error:
        raise ReleaseToolError(f"{role}: neither root nor targets names it") from error


def is_signed(metadata: Metadata[Any], key: Key) -> bool:
    """Return whether ``metadata`` has a valid signature of ``key``."""
    signature = metadata.signatures.get(key.keyid)
    if signature is None:
        return False
    try:
        key.verify_signature(signature, metadata.signed_bytes)
    except UnverifiedSignatureError:
        return False
    return True


def missing(role: str, roles: Mapping[str, Metadata[Any]], before: Root | None) -> str | None:
    """Return which signatures ``role`` lacks, as text; None if it is complete.

    Args:
        role: name of the role to check.
        roles: all roles as they would be published.
        before: the published root, which a new root must satisfy as well; None: there is none yet.
    """
    metadata = roles[role]
    delegators = [delegator_of(role, roles)]
    if role == "root" and before is not None:
        delegators.append(before)
        if metadata.signed.version != before.version + 1:  # clients fetch only this one
            return f"is version {metadata.signed.version}, expected {before.version + 1}"
    for delegator in delegators:
        try:
            delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        except (UnsignedMetadataError, ValueError) as error:
            return f"{error}" + (
                " of the root before" if role == "root" and delegator is before else ""
            )
    return None


def check_versions(roles: Roles) -> None:
    """Verify that each role has the version that snapshot or timestamp names.

    Raises:
        ReleaseToolError: one has another version.
    """
    named = {
        name.removesuffix(".json"): meta for name, meta in roles["snapshot"].signed.meta.items()
    }
    named["snapshot"] = roles["timestamp"].signed.snapshot_meta
    for role, meta in named.items():
        found = roles[role].signed.version
        if found != meta.version:
            raise ReleaseToolError(f"{role}: is version {found}, expected {meta.version}")


def choose(published: Roles, staged: Roles) -> tuple[Roles, dict[str, str]]:
    """Return which staged roles may be published together, and what each of the others lacks.

    A role that its (possibly new) delegator does not accept stays staged. A new delegator that does
    not accept the published version of a role stays staged itself.
    """
    chosen, lacking = dict(staged), dict[str, str]()
    before = published["root"].signed if "root" in published else None
    while (culprit := next(_culprits(published, chosen, before), None)) is not None:
        role, why = culprit
        lacking[role] = why
        del chosen[role]
    return chosen, lacking


def _culprits(published: Roles, chosen: Roles, before: Root | None) -> Iterator[tuple[str, str]]:
    roles = published | chosen
    for role in roles:
        if role in ONLINE_ROLES or (why := missing(role, roles, before)) is None:
            continue
        if role in chosen:
            yield role, why
            continue
        above = "root" if role in TOP_ROLES else "targets"
        if above in chosen and role != "root":
            yield above, f"{role} is not signed for it yet: {why}"


def delegated(targets: Targets) -> Mapping[str, DelegatedRole]:
    """Return the delegated roles, by product."""
    return (targets.delegations.roles if targets.delegations else None) or {}


def live_roles(published: Roles, staged: Roles) -> Roles:
    """Return the staged roles that are newer than the published ones and still delegated to."""
    named = {*TOP_ROLES, *delegated((published | staged)["targets"].signed)}
    return {
        role: metadata
        for role, metadata in staged.items()
        if role in named
        and (role not in published or metadata.signed.version > published[role].signed.version)
    }


def lacks_by_role(published: Roles, staged: Roles) -> dict[str, str]:
    """Return for each staged role what it lacks, or that it is ready."""
    lacking = choose(published, staged)[1]
    return {role: lacking.get(role, "ready to be published") for role in staged}
