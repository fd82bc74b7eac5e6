"""The staging cloud that story machines are benched against: open API, device gateway, commands.

Of the project only `wire` and `transport` are imported. One process serves; the commands of
`story-cloud` work beside it on the same data directory.
"""
