"""What certificates of other servers are checked for."""

import ssl


def as_openssl_checks(context: ssl.SSLContext) -> ssl.SSLContext:
    """The same context, which checks authority, dates and name of a certificate as OpenSSL does, whatever Python runs it.

    From 3.13 on Python's default is VERIFY_X509_STRICT: certificates have to be RFC 5280 to the letter, and those that
    companies make for themselves often are not. A relay or a server of files must not be lost to an upgrade of Python, and
    programs beside this one connect to it all the same.
    """
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
