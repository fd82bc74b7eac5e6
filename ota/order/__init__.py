"""One order: its record on disk, its states, and what a start after a crash does with it."""
