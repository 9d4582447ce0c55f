"""Real servers of files, each in a process of its own: OpenSSH's sshd, pyftpdlib (FTP, FTPS), and moto's S3 server.

moto simulates S3: it speaks the protocol over HTTP, with signatures unchecked; no real S3-compatible server can be had from the
registries.
"""

import base64
import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncssh
from asyncssh import asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tabellion.platform.transfer import Server
from tests.support.api import free_port

_START_S = 20
_FTP = """
import os, sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
from pyftpdlib.servers import FTPServer
port, folder, certificate, refuses, rights = sys.argv[1:]
authorizer = DummyAuthorizer()
authorizer.add_user("erp", "s3cret", folder, perm=rights)
handler = TLS_FTPHandler if certificate else FTPHandler
handler.authorizer = authorizer
if refuses:
    class handler(handler):
        def ftp_RNTO(self, path):
            if os.path.exists(path):
                return self.respond("550 the name is taken")
            if "/held/" in path and "/held/" not in self._rnfr:
                return self.respond("550 nothing comes in here")
            return super().ftp_RNTO(path)
if certificate:
    handler.certfile = certificate
    handler.tls_control_required = handler.tls_data_required = True
FTPServer(("127.0.0.1", int(port)), handler).serve_forever()
"""


@contextmanager
def sshd(folder: Path) -> Iterator[Server]:
    """OpenSSH's server for the user who runs the tests, with a key; `folder`/files is for files."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    host, user = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    host.write_private_key(folder / "host")
    (folder / "host").chmod(0o600)
    (folder / "authorized").write_bytes(user.export_public_key())
    (folder / "files").mkdir()
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {folder / 'authorized'}\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
        "Subsystem sftp internal-sftp\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    program = shutil.which("sshd") or "/usr/sbin/sshd"
    with _running([program, "-D", "-e", "-f", str(folder / "config")], port, folder / "sshd.log"):
        yield Server(
            protocol="SFTP", host="127.0.0.1", port=port, user=getpass.getuser(),
            private_key=user.export_private_key().decode(),
        )  # fmt: skip


@contextmanager
def ftpd(folder: Path, *, tls: bool, refuses: bool = False, rights: str = "elradfmwMT") -> Iterator[Server]:
    """An FTP server on `folder`/files. `rights` as pyftpdlib's.

    `refuses`: to rename a file where something has the name, and to move one into a folder `held`.
    """
    (folder / "files").mkdir(parents=True)
    port, certificate = free_port(), ""
    if tls:
        certificate = str(folder / "certificate.pem")
        self_signed(Path(certificate), "127.0.0.1")
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        _FTP,
        str(port),
        str(folder / "files"),
        certificate,
        "x" * refuses,
        rights,
    ]
    with _running(command, port, folder / "ftpd.log"):
        trusted = Path(certificate).read_text().split("-----BEGIN PRIVATE", 1)[0] if tls else None
        yield Server(
            protocol="FTPS" if tls else "FTP", host="127.0.0.1", port=port, user="erp", password="s3cret",
            certificate=trusted,
        )  # fmt: skip


@contextmanager
def s3(folder: Path) -> Iterator[Server]:
    """An S3 server without buckets."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    with _running([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port, folder / "s3.log"):
        yield Server(protocol="S3", host="127.0.0.1", port=port, user="key", password="secret", secure=False)


def self_signed(path: Path, host: str) -> None:
    """Write a certificate for an address, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    import ipaddress

    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


@contextmanager
def _running(command: list[str], port: int, log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + _START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, "the server does not listen"
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def passphrased(key: asyncssh.SSHKey, password: str, rounds: int | None = None) -> str:
    """A private key that a password opens, which is hashed so many times for it, as the key says itself."""
    text = key.export_private_key("pkcs8-pem", password).decode()
    if rounds is None:
        return text
    first, *lines, last = text.strip().split("\n")
    document: Any = asn1.der_decode(base64.b64decode("".join(lines)))
    (method, ((hashing, (salt, _, *more)), cipher)), content = document
    written = (method, ((hashing, (salt, rounds, *more)), cipher)), content
    return "\n".join([first, base64.b64encode(asn1.der_encode(written)).decode(), last])
