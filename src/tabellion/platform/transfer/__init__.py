"""Folders on other machines that files are read from and written to."""

from tabellion.platform.egress import Policy
from tabellion.platform.transfer import ftp, local, s3, sftp
from tabellion.platform.transfer.model import (
    PORTS,
    PROTOCOLS,
    Folder,
    Opened,
    Opening,
    ProtocolName,
    RemoteFile,
    Server,
    TransferError,
    is_plain_name,
)

__all__ = [
    "PORTS",
    "PROTOCOLS",
    "Folder",
    "Opened",
    "ProtocolName",
    "RemoteFile",
    "Server",
    "TransferError",
    "is_plain_name",
    "open_folder",
]


def open_folder(server: Server, path: str, policy: Policy) -> Opening:
    """Connect, and open a folder for as long as the block lasts. Raises `TransferError`."""
    open_ = {
        "SFTP": sftp.open_folder,
        "FTP": ftp.open_folder,
        "FTPS": ftp.open_folder,
        "S3": s3.open_folder,
        "FOLDER": local.open_folder,
    }[server.protocol]
    return open_(server, path, policy)
