"""Certificates of a company's own authority, without all that RFC 5280 asks for, are good enough; all else is checked."""

import ssl
from pathlib import Path

import pytest

from tabellion.kit.tls import as_openssl_checks
from tests.support.certificates import Authority


def handshake(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> None:
    """Both sides of a handshake in memory. Raises what one of them has against it."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    while sides:
        for side in list(sides):
            try:
                side.do_handshake()
                sides.remove(side)
            except ssl.SSLWantReadError:
                pass


def strict(authority: Authority) -> ssl.SSLContext:
    """What Python makes from 3.13 on."""
    context = ssl.create_default_context(cafile=authority.certificate)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def test_a_certificate_need_not_be_rfc_5280_to_the_letter(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = authority.server("mail.example.com")
    with pytest.raises(ssl.SSLCertVerificationError, match="Authority Key Identifier"):
        handshake(strict(authority), server, "mail.example.com")

    handshake(as_openssl_checks(strict(authority)), server, "mail.example.com")


def test_authority_dates_and_name_are_checked_all_the_same(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = as_openssl_checks(strict(authority))
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        handshake(context, authority.server("mail.example.com", expired=True), "mail.example.com")
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        handshake(context, authority.server("mail.example.net"), "mail.example.com")
    with pytest.raises(ssl.SSLCertVerificationError, match="local issuer"):
        handshake(context, Authority(tmp_path, "stranger").server("mail.example.com"), "mail.example.com")
