"""Null for members that a body need not have: clients whose languages write all the members of a class send it."""

from typing import Any

import pytest
from msgspec import inspect

from tabellion.features.profiles.wire.bodies import ProfileIn
from tabellion.kit.problem import Invalid
from tabellion.platform.http import shapes
from tabellion.platform.http.call import Call
from tabellion.server.calls import CALLS

_BODIES = [call for call in CALLS if call.body is not None and isinstance(call.body_example, dict)]


def _silent(call: Call) -> list[inspect.Field]:
    info: Any = inspect.type_info(call.body)
    return [field for field in info.fields if not field.required and not shapes.takes_null(field.type)]


@pytest.mark.parametrize("call", _BODIES, ids=lambda call: call.id)
def test_null_is_as_good_as_nothing(call: Call) -> None:
    fields = _silent(call)
    names = {field.encode_name for field in fields}
    bare = {name: value for name, value in call.body_example.items() if name not in names}
    nulls = bare | dict.fromkeys(names)
    reader = shapes.reader(call.body)
    lists = {field.encode_name for field in fields if isinstance(shapes.plain(field.type), inspect.ListType)}
    if call.merges and names - lists:
        with pytest.raises(Invalid):
            reader.read(nulls, merge=True)
        return
    assert reader.read(nulls) == reader.read(bare)


def test_null_under_one_name_does_not_hide_what_the_other_says() -> None:
    reader = shapes.reader(ProfileIn)
    collection, nothing = {"dataCollection": {"source": "till"}}, {"dataCollectionInformation": None}
    assert reader.read(collection | nothing) == reader.read(nothing | collection) == reader.read(collection)
