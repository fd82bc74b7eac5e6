"""Framed CoAP over a byte stream, for both ends; the only package that uses aiocoap.

It may import `wire`. The agent and the staging cloud are both built on it (docs/adr/0002).
"""
