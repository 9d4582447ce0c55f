"""httpx for addresses without TLS. By itself it reads the certificates of all authorities for each call, or client, in 30 ms."""

import ssl
from functools import partial

import httpx

# It trusts nobody.
_CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

request = partial(httpx.request, verify=_CONTEXT)
get = partial(httpx.get, verify=_CONTEXT)
post = partial(httpx.post, verify=_CONTEXT)
Client = partial(httpx.Client, verify=_CONTEXT)
AsyncClient = partial(httpx.AsyncClient, verify=_CONTEXT)
