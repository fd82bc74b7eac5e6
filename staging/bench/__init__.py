"""The fault bench: faults that a tester makes on purpose, for a bounded time (`story-cloud serve --bench-faults`)."""
