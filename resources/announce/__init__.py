"""The machine's own sounds: why nothing happened, and what it is about to do."""
