"""Files from callers: the spool, forms with files, archives."""

from tabellion.platform.files.archive import Kind, gunzip, inflate, kind_of
from tabellion.platform.files.directory import ArchiveError, Entry, contents
from tabellion.platform.files.spool import deleting, keeping, spool, use_spool
from tabellion.platform.files.uploads import MAX_FILES, FileTooLarge, FormExpected, Rules, Upload, UploadedFile, receive

__all__ = [
    "MAX_FILES",
    "ArchiveError",
    "Entry",
    "FileTooLarge",
    "FormExpected",
    "Kind",
    "Rules",
    "Upload",
    "UploadedFile",
    "contents",
    "deleting",
    "gunzip",
    "inflate",
    "keeping",
    "kind_of",
    "receive",
    "spool",
    "use_spool",
]
