"""The staging cloud, a test bench for story machines: open API, device gateway, commands.

It imports only `wire` and `transport` of the project. One process serves; the `story-cloud`
commands work on the same data directory, also while it runs.
"""
