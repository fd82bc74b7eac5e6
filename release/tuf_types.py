"""python-tuf's and securesystemslib's classes, under names that a type checker sees exported.

Both re-export from private modules without saying so. Imported by what signs; a device's trust
decision loads python-tuf inside functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from securesystemslib.signer._crypto_signer import CryptoSigner
    from securesystemslib.signer._hsm_signer import HSMSigner
    from securesystemslib.signer._key import Key, SSlibKey
    from securesystemslib.signer._signer import Signer
    from tuf.api._payload import (
        DelegatedRole,
        Delegations,
        MetaFile,
        Root,
        Signed,
        Snapshot,
        TargetFile,
        Targets,
        Timestamp,
    )
    from tuf.api.metadata import Metadata
else:
    from securesystemslib.signer import CryptoSigner, HSMSigner, Key, Signer, SSlibKey
    from tuf.api.metadata import (
        DelegatedRole,
        Delegations,
        Metadata,
        MetaFile,
        Root,
        Signed,
        Snapshot,
        TargetFile,
        Targets,
        Timestamp,
    )

__all__ = [
    "CryptoSigner",
    "DelegatedRole",
    "Delegations",
    "HSMSigner",
    "Key",
    "MetaFile",
    "Metadata",
    "Root",
    "SSlibKey",
    "Signed",
    "Signer",
    "Snapshot",
    "TargetFile",
    "Targets",
    "Timestamp",
]
