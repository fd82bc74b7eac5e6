"""The agent's side of updates: what the updater is made of, and what a new version must show."""
