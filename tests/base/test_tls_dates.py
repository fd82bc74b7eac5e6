"""The dates of a verified chain, compared with trusted time: the CA's count as well as the server's."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest

from base.clock import TrustedTime
from base.tls_dates import CertificateDateError, check_dates, leave_dates
from tests.authority import HOUR, LOOPBACK, Authority

NOW = datetime.now(UTC)
YEAR = timedelta(days=365)


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> ssl.SSLObject:
    """Return the client's end of a handshake in memory; raises the client's error."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_hostname=LOOPBACK),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    done: set[ssl.SSLObject] = set()
    while len(done) < 2:
        for end in ends:
            try:
                end.do_handshake()
                done.add(end)
            except ssl.SSLWantReadError:
                continue
    return ends[0]


def shake(authority: Authority) -> ssl.SSLObject:
    return handshake(authority.server_context(), leave_dates(authority.client_context()))


def test_the_chain_ends_with_its_first_certificate() -> None:
    end = check_dates(shake(Authority()), TrustedTime())
    assert abs(end - (NOW + HOUR).timestamp()) < HOUR.total_seconds() / 2


def test_an_expired_ca_is_refused_though_its_servers_certificate_is_in_time() -> None:
    connection = shake(Authority((NOW - YEAR, NOW - YEAR / 2)))
    with pytest.raises(CertificateDateError, match="certificate has expired"):
        check_dates(connection, TrustedTime())


@pytest.mark.parametrize("believed", [True, False])
def test_a_ca_of_the_future_is_refused_by_a_clock_that_is_believed(*, believed: bool) -> None:
    connection = shake(Authority((NOW + YEAR, NOW + 2 * YEAR)))
    if not believed:
        check_dates(connection, TrustedTime(wall=lambda: 0.0))
        return
    with pytest.raises(CertificateDateError, match="certificate is not yet valid"):
        check_dates(connection, TrustedTime())


def test_a_connection_before_its_handshake_is_refused() -> None:
    context = Authority().client_context()
    connection = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=LOOPBACK)
    with pytest.raises(CertificateDateError, match="no verified certificate chain"):
        check_dates(connection, TrustedTime())
