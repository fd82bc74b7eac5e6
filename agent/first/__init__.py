"""A machine's first day and its last one with a family: set-up mode, provisioning, pairing, self-test, factory reset."""

WISH_NAME = "factory-reset.json"
"""The file in the state folder that stands for a factory reset which is not finished (`agent.first.reset`)."""
