"""CoAP over framed byte streams, for both ends, and over UDP; the only package that uses aiocoap.

It may import `wire`. The agent and the staging cloud are both built on it (docs/adr/0002).
"""
