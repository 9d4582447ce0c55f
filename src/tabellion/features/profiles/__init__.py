"""Profiles: one by one, their subscriptions and segmentations, and the history of their consent.

How rows are read, written, paged and told of is shared with the records of custom tables.
"""

from tabellion.features.profiles.choices import choice_columns, keep_replaced
from tabellion.features.profiles.errors import RowInUse
from tabellion.features.profiles.model import Profile, Row, Written
from tabellion.features.profiles.news import of_delete, of_write, unique_columns
from tabellion.features.profiles.paging import count_listed as row_count
from tabellion.features.profiles.paging import page as row_page
from tabellion.features.profiles.parameters import PROFILE
from tabellion.features.profiles.reading import Item, Reader, key_attribute, key_id, key_value, membership, sole_key_value
from tabellion.features.profiles.service import save as save_profile
from tabellion.features.profiles.store import StaleDefinition, are_over
from tabellion.features.profiles.store import count as count_rows
from tabellion.features.profiles.store import find as find_rows
from tabellion.features.profiles.store import read as read_row
from tabellion.features.profiles.store import search as search_rows
from tabellion.features.profiles.wire.answers import Profile5Out, profile5_out
from tabellion.features.profiles.wire.bodies import ProfileIn, given_value, read_profile
from tabellion.features.profiles.writing import delete as delete_row
from tabellion.features.profiles.writing import erase as erase_row
from tabellion.features.profiles.writing import etag as row_etag
from tabellion.features.profiles.writing import record_choice, until_current
from tabellion.features.profiles.writing import upsert as upsert_row
from tabellion.features.profiles.writing import write as write_row

__all__ = [
    "PROFILE",
    "Item",
    "Profile",
    "Profile5Out",
    "ProfileIn",
    "Reader",
    "Row",
    "RowInUse",
    "StaleDefinition",
    "Written",
    "are_over",
    "choice_columns",
    "count_rows",
    "delete_row",
    "erase_row",
    "find_rows",
    "given_value",
    "keep_replaced",
    "key_attribute",
    "key_id",
    "key_value",
    "membership",
    "of_delete",
    "of_write",
    "profile5_out",
    "read_profile",
    "read_row",
    "record_choice",
    "row_count",
    "row_etag",
    "row_page",
    "save_profile",
    "search_rows",
    "sole_key_value",
    "unique_columns",
    "until_current",
    "upsert_row",
    "write_row",
]
