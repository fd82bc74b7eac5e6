"""Parsers and serializers for the formats that a story machine and its cloud exchange.

Nothing here opens a file or a socket, or reads a clock. Each module covers one format and cites the
document that defines it: "open API" is the cloud's open API document; "device protocol" is the
description of the device side of the wire.
"""
