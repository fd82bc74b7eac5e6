"""Reads a whole repository: describes it, or verifies it as a device does. Changes nothing."""

from __future__ import annotations

from typing import Any

from ota.trust.client import TIME_FORMAT
from release import lifetimes
from release.errors import ReleaseToolError
from release.metadata_store import MetadataStore
from release.package_files import verify_package
from release.role_changes import describe_staged
from release.roles import (
    ONLINE_ROLES,
    Roles,
    check_versions,
    lacks_by_role,
    live_roles,
    missing,
    role_keys,
)
from release.tuf_types import TargetFile


def show_repository(store: MetadataStore) -> dict[str, object]:
    """Describe the repository: version, expiry and keys of each role, targets, staged roles.

    ``staged`` has what each staged role lacks, ``changes`` what it changes.
    """
    published = store.published()
    shown = {}
    for role, metadata in published.items():
        keys = role_keys(role, published)
        shown[role] = {
            "version": metadata.signed.version,
            "expires": metadata.signed.expires.strftime(TIME_FORMAT),
            "threshold": keys.threshold,
            "keys": list(keys.keyids),
        }
    targets = [
        {"target": path, "size": target.length, "sha256": target.hashes.get("sha256")}
        | _members(target.custom)
        for path, target in sorted(_all_targets(published).items())
    ]
    staged = live_roles(published, store.staged())
    return {
        "repository": str(store.folder),
        "roles": shown,
        "targets": targets,
        "staged": lacks_by_role(published, staged),
        "changes": describe_staged(published, staged),
    }


def verify_repository(store: MetadataStore) -> dict[str, object]:
    """Verify signatures, versions, expiry and every package's bytes, as a device does.

    Raises:
        ReleaseToolError: a device would refuse the repository; names the first reason.
    """
    lifetimes.check_clock()
    published = store.published()
    store.check_roots(published["root"].signed.version)
    check_versions(published)
    for role, metadata in published.items():
        if (why := missing(role, published, None)) is not None:
            raise ReleaseToolError(f"{role}: {why}")
        if metadata.signed.is_expired():
            raise ReleaseToolError(f"{role}: expired on {metadata.signed.expires}")
    targets = _all_targets(published)
    for path, target in targets.items():
        verify_package(store.folder, path, target)
    return {"repository": str(store.folder), "targets": len(targets), "valid": True}


def _all_targets(roles: Roles) -> dict[str, TargetFile]:
    """Return every signed package; as for clients, the targets role overrides products' roles."""
    found: dict[str, TargetFile] = {}
    for role, metadata in roles.items():
        if role not in {"root", *ONLINE_ROLES}:
            found = metadata.signed.targets | found
    return found


def _members(custom: object) -> dict[str, Any]:
    """Return the members that a target's ``custom`` adds: none if a damaged file has no object there."""
    return custom if isinstance(custom, dict) else {}
