"""Which package may be installed: what The Update Framework (TUF) verifies."""
