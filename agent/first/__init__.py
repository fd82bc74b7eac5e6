"""A machine's first day and its last one with a family: set-up mode, provisioning, pairing, self-test, factory reset."""
