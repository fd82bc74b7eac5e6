"""Framed CoAP over a byte stream, for both ends: the one place that knows aiocoap.

May import `wire`. The agent and the staging cloud both stand on it (docs/adr/0002).
"""
