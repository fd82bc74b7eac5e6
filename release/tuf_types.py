"""The classes of python-tuf and securesystemslib, under names that type checkers see as exported.

Both libraries re-export them from private modules without an explicit export. The signing code
imports this module; on a device, the trust client imports python-tuf inside functions instead.
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
