"""The connections of an update: urllib3's, which pass over interim answers. Imported when the first request is made."""

from __future__ import annotations

import ssl

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

from base.interim import FinalResponse


class _Connection(HTTPConnection):
    response_class = FinalResponse


class _TlsConnection(HTTPSConnection):
    response_class = FinalResponse


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def make_pool(context: ssl.SSLContext) -> PoolManager:
    """Return a pool of connections, whose TLS is by ``context``."""
    pool = PoolManager(ssl_context=context)
    pool.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
    return pool
