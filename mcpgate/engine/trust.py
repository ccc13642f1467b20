"""Whom TLS trusts: the certificates of the system, or those that the environment names."""

from __future__ import annotations

import os
import ssl
import sys
from typing import Final

# where systems keep them that are not the one Python was built on
_ELSEWHERE: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def trusted() -> ssl.SSLContext:
    """A context for connections to servers, which prove their names.

    `SSL_CERT_FILE`, else `SSL_CERT_DIR`, stand in for the system's own. Raises `OSError` for what cannot be
    read.
    """
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file:
        context = ssl.create_default_context(cafile=file)
    elif folder:
        context = ssl.create_default_context(capath=folder)
    elif sys.platform in ("win32", "darwin"):
        import truststore

        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    else:
        paths = ssl.get_default_verify_paths()
        there = paths.cafile or paths.capath or next(filter(os.path.isfile, _ELSEWHERE), None)
        context = ssl.create_default_context(cafile=None if paths.cafile or paths.capath else there)
    context.set_alpn_protocols(["http/1.1"])
    return context
