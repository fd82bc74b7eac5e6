"""Attacks on a cloud and an agent that are started for it, on loopback: ``make attack`` (docs/security.md)."""
