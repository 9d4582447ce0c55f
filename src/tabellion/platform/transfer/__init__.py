"""Folders on other machines that files are read from and written to."""

import importlib
from typing import Any

from tabellion.platform.egress import Policy
from tabellion.platform.transfer.connecting import is_certificate
from tabellion.platform.transfer.folder import Folder, Opening
from tabellion.platform.transfer.keys import opened
from tabellion.platform.transfer.model import PORTS, ProtocolName, RemoteFile, Server, TooManyEntries, TransferError

__all__ = [
    "PORTS",
    "Folder",
    "ProtocolName",
    "RemoteFile",
    "Server",
    "TooManyEntries",
    "TransferError",
    "is_certificate",
    "is_public_key",
    "open_folder",
    "opened",
]


# asyncssh and minio take 35 MB, which processes that open no such folder do without.
_MODULES: dict[ProtocolName, str] = {"SFTP": "sftp", "FTP": "ftp", "FTPS": "ftp", "S3": "s3", "FOLDER": "local"}


def open_folder(server: Server, path: str, policy: Policy) -> Opening:
    """Connect, and open a folder for as long as the block lasts. Raises `TransferError`."""
    return _module(server.protocol).open_folder(server, path, policy)


def is_public_key(text: str) -> bool:
    """Whether a text is a public key of SSH, in OpenSSH's form."""
    return _module("SFTP").is_public_key(text)


def _module(protocol: ProtocolName) -> Any:
    return importlib.import_module(f"{__name__}.{_MODULES[protocol]}")
