"""The trial of a new version: what it logged, and which packages failed theirs."""
