"""``story-release``: packages, signed metadata and keys. For signers; never on a device."""
