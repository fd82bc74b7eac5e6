"""An apt repository of the Debian packages: read, indexed, signed (docs/packages.md)."""
