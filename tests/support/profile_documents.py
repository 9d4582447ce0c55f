"""Profile documents that hypothesis makes up: good ones, and ones with the mistakes that integrations make.

Only documents that XML can tell from all others: there `<values/>` is an empty list and `<value/>` the empty text, so what
stands in place of a list or an object is neither blank nor an empty object.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from tests.support.formats import Style
from tests.support.twins import KNOWN_ID, VALUE_TYPES

Strategy = st.SearchStrategy[Any]
TRAPS = (
    "", " ", "\n", "\t", "\r", "\r\n", " x ", "\nx\n", "0", "1", "false", "true", "TRUE", " true ", "null", "NaN", "Infinity",
    "1e3", "1E-2", "007", "+5", "-0", "1.0", "0.0", "1.50", "1,5", "1_000", ".5", "5.", "0x10", "1" + "0" * 61, "0." + "1" * 61,
    "<value/>", "]]>", "&amp;", "&#10;", "<![CDATA[x]]>", "é", "e\u0301", "\u00a0", "\u0085", "\u2028", "\ufeff", "\u200d",
    "\U0001f600", "\x7f", "\u0663", "\uff11", "\ufdd0", "x" * 255, "x" * 256, "\U0001f600" * 128, "2027-03-01", "2027-02-30",
    "01/03/2027", "2027-03-01T08:15:00Z", "2027-03-01 08:15:00", "2027-03-28T02:30:00.123456+02:00", "ann@example.com", "AB12",
)  # fmt: skip
_EDGES = [2**31 - 1, 2**31, -(2**31), 2**63 - 1, 2**63, 10**19, 10**30, 10**31, 10**61, -(10**70)]
_FRACTIONS = ["1.0", "0.0", "1E+3", "2.50", "-0.0", "1E-20", "1E-21", "1E-70", "12.34567890123456789012"]
# All that XML 1.0 can carry.
_UNFIT = [*map(chr, {*range(32)} - {9, 10, 13}), "\ufffe", "\uffff"]
_characters = st.characters(exclude_categories=["Cs"], exclude_characters=_UNFIT)

texts: Strategy = st.one_of(st.sampled_from(TRAPS), st.text(_characters, max_size=12))
numbers: Strategy = st.one_of(
    st.integers(-3, 130),
    st.decimals(-1000, 1000, places=2),
    st.sampled_from([*_EDGES, *map(Decimal, _FRACTIONS)]),
)
flags: Strategy = st.sampled_from([True, False, 1, 0, "1", "0", "true", "FALSE", Decimal("1.0"), Decimal("0.0")])
scalars: Strategy = st.one_of(texts, numbers, st.booleans(), st.none())
_objects: Strategy = st.dictionaries(st.sampled_from(["a", "b", "name"]), scalars, min_size=1, max_size=2)
_lists: Strategy = st.lists(scalars, min_size=1, max_size=3)
# What may stand under `value`, whose list is `<value><value>..`.
_anything: Strategy = st.one_of(scalars, _objects, _lists, st.lists(_lists, min_size=1, max_size=2))
_filled: Strategy = st.one_of(texts.filter(lambda text: text.strip(" \t\r\n") != ""), numbers, st.booleans())
_no_list: Strategy = st.one_of(_filled, st.none(), _objects)
# An empty list is taken for an empty object.
_no_object: Strategy = st.one_of(_filled, st.none(), st.just([]))


def _members(needed: dict[str, Strategy], **optional: Strategy) -> Strategy:
    return st.fixed_dictionaries(needed, optional=optional)


def _one(*values: Any) -> Strategy:
    return st.sampled_from(values)


def _fair(*strategies: Strategy) -> Strategy:
    """Each as often as the others, however many alternatives it consists of."""
    return st.sampled_from(strategies).flatmap(lambda strategy: strategy)


def _dates() -> Strategy:
    forms = ("{0:%Y-%m-%d}", "{0:%d/%m/%Y}", "{0:%Y-%m-%d}T10:00:00Z", " {0:%Y-%m-%d}\n")
    return st.builds(lambda form, day: form.format(day), st.sampled_from(forms), st.dates(date(1900, 1, 1)))


def _moments() -> Strategy:
    forms = ("{0:%Y-%m-%d %H:%M:%S}", "{0:%d/%m/%Y %H:%M:%S}", "{0:%Y-%m-%dT%H:%M:%S.%f}+05:30", "{0:%Y-%m-%dT%H:%M}Z")
    days = st.datetimes(datetime(1900, 1, 2), datetime(2900, 1, 1))
    return st.builds(lambda form, moment: form.format(moment), st.sampled_from(forms), days)


_whole: Strategy = st.one_of(st.integers(-(2**31), 2**31 - 1), st.integers(-9, 9).map(str), st.integers(0, 9).map(Decimal))
_good: dict[str, Strategy] = {
    "STRING": texts.filter(lambda text: len(text) <= 255),
    "TEXT": texts,
    "INTEGER": _whole,
    "LONG": st.one_of(_whole, st.integers(-(2**63), 2**63 - 1)),
    "NUMBER": st.one_of(st.integers(-3, 130), st.decimals(-1000, 1000, places=2), st.decimals(-9, 9, places=3).map(str)),
    "BOOLEAN": flags,
    "DATE": _dates(),
    "TIMESTAMP": _moments(),
}
_single: dict[str, Strategy] = {
    "gsmNumber": _one("+32470123456", "0032 470/12.34.56", 32470123456, ""),
    "sex": _one("M", "f"),
    "title": _one("Mr", "Ms"),
    "motherLanguage": _one("NL", "fr"),
    "addressCountry": _one("BE", "lu"),
    "birthDate": _dates(),
    **{f"one{type_}": _good[type_] for type_ in VALUE_TYPES},
    "cardNumber": _one("K-1", "K-2", "", 12),
    "memberNumber": _one(1, 2, "2", "01"),
    "joined": _one("2027-03-01", "02/03/2027"),
    "score": st.integers(0, 100),
    "code": _one("AB12", "ZZ0"),
}
_multiple = {f"many{type_}": _good[type_] for type_ in VALUE_TYPES} | {"interests": _one("SPA", "GOLF", "0", 0)}


def _good_attribute(name: str) -> Strategy:
    named: dict[str, Strategy] = {"name": _one(name, name.upper())}
    if name in _single:
        return _members(named | {"value": st.one_of(_single[name], _single[name], st.none())})
    values = st.lists(st.one_of(_multiple[name], st.none()), max_size=3)
    scalar = _multiple[name].filter(lambda value: str(value).strip(" \t\r\n") != "")
    return st.one_of(
        _members(named | {"values": st.one_of(values, scalar)}), _members(named | {"value": values.filter(bool)})
    )


_good_attributes: Strategy = st.lists(
    _one(*_single, *_multiple).flatmap(_good_attribute), max_size=5, unique_by=lambda item: item["name"].lower()
)
_names = _one("emailAddress", "lastName", *_single, *_multiple)
_bad_names: Strategy = st.one_of(texts, _one("unknown", "updateMoment", "PROFILEID", "", 12, True, None, Decimal("1.0")))
_ids = _one(KNOWN_ID, 999_999_999, "12a", None, Decimal("1.0"), -1)
_bad_attribute: Strategy = _fair(
    _members({"name": _names, "value": _anything}),
    _members({"name": _names, "values": st.one_of(st.lists(_anything, max_size=3), _no_list)}),
    _members({"name": _bad_names, "value": scalars}),
    _members({"name": _names}, value=scalars, values=st.lists(scalars, max_size=2), extra=scalars),
    _members({}, value=scalars, extra=_objects),
    _members({"name": st.just("profileId"), "value": _ids}),
    _no_object,
)
# Whose profile it is: the known one's or a new one's.
_identity: Strategy = _fair(
    st.tuples(
        _members(
            {
                "name": st.just("emailAddress"),
                "value": _one("known@example.com", "KNOWN@Example.com", "other@example.com", "é@exämple.org"),
            }
        ),
        _members({"name": st.just("lastName"), "value": _good["STRING"]}),
    ).map(list),
    _members({"name": st.just("memberNumber"), "value": st.just(1)}).map(lambda item: [item]),
)


def _joined(*lists: Strategy) -> Strategy:
    return st.tuples(*lists).map(lambda parts: [item for part in parts for item in part])


_good_subscription: Strategy = st.one_of(
    *(
        _members({"name": _one("Newsletter", "newsletter", "Weekly offers"), spelling: st.one_of(flags, st.none())})
        for spelling in ("subscribe", "subscription")
    )
)
_bad_subscription: Strategy = _fair(
    _members({"name": _one("Newsletter", "Other", "", 1, None)}, subscribe=scalars, subscription=scalars),
    _members({}, subscribe=_objects, extra=scalars),
    _no_object,
)
_segment = _one(
    {"name": "Vip"}, {"name": "vip", "category": "Gold"}, {"name": "Loyalty", "category": "gold"},
    {"name": "Floor", "category": "1"}, {"name": "Floor", "category": 2}, {"name": "Floor", "category": True},
)  # fmt: skip
_bad_segment: Strategy = _members(
    {"name": _one("Vip", "Loyalty", "Other", 1, None)}, category=st.one_of(scalars, _objects, st.just("Gold")), extra=scalars
)


def _memberships(segments: Strategy, nested: Strategy, belongs: Strategy) -> Strategy:
    """The three spellings of a membership."""
    flat = st.tuples(segments, belongs).map(lambda pair: {**pair[0], "belongs": pair[1]})
    return _fair(segments, flat, _members({"belongs": belongs, "segmentation": nested}))


_good_segmentation = _memberships(_segment, _segment, flags)
_bad_segmentation = _fair(_memberships(_bad_segment, st.one_of(_bad_segment, _no_object), scalars), _no_object)
_good_collection: Strategy = _members(
    {}, source=st.one_of(_good["STRING"], st.none()), way=_one("api", "", None), date=st.one_of(_moments(), st.none())
).map(lambda members: members or [])
_bad_collection: Strategy = st.one_of(_members({"source": scalars}, way=scalars, date=scalars, extra=scalars), _no_object)


def _profile(attributes: Strategy, subscriptions: Strategy, segmentations: Strategy, **more: Strategy) -> Strategy:
    """Members in any order; all but the attributes may be left out."""
    others = {"subscriptions": subscriptions, "segmentations": segmentations, **more}
    named = _members({"attributes": attributes}, **others)
    return named.flatmap(lambda members: st.permutations([*members.items()]).map(dict))


_good_lists = (st.lists(_good_subscription, max_size=3), st.lists(_good_segmentation, max_size=3))
_bad_lists = (
    st.one_of(st.lists(_bad_subscription, max_size=2), _no_list),
    st.one_of(st.lists(_bad_segmentation, max_size=2), _no_list),
)
_good_ones = _joined(_identity, _good_attributes)
_bad_ones = _joined(_fair(_identity, st.just([])), st.lists(_bad_attribute, min_size=1, max_size=3))
good_profiles = _fair(
    _profile(_good_ones, *_good_lists, dataCollectionInformation=_good_collection),
    _profile(_good_ones, *_good_lists, dataCollection=_good_collection, extra=st.one_of(scalars, _objects)),
)
bad_profiles = _fair(
    _profile(_bad_ones, *_good_lists),
    _profile(_good_ones, *_bad_lists),
    _profile(_good_ones, *_good_lists, dataCollection=_bad_collection, dataCollectionInformation=_bad_collection),
    _profile(_bad_ones, *_bad_lists, dataCollection=_bad_collection, values=_lists),
    _profile(_fair(_no_list, _good_attributes, st.just([])), *_good_lists),
    _no_object,
)
profiles: Strategy = _fair(good_profiles, good_profiles, bad_profiles)
collection_bodies: Strategy = _fair(
    _members({}, dataCollectionInformation=_good_collection, extra=scalars).map(lambda members: members or []),
    _members({"dataCollection": _bad_collection}),
    _no_object,
)
styles = st.builds(Style, _one("UTF-8", "US-ASCII", "ISO-8859-1"), st.booleans(), st.booleans(), st.booleans())
