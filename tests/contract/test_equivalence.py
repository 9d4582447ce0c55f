"""JSON = XML: the same v4 call in both formats has the same effect and an equivalent answer.

Two tables of one structure: everything is done to the first in JSON and to the second in XML. Answers are compared but for
ids, moments and what names a place in the bytes; then what is stored in both is compared, and read from one table in JSON
and from the other in XML. A refused call has changed nothing.
"""

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.formats import PLAIN, Style
from tests.support.profile_documents import TRAPS, collection_bodies, good_profiles, profiles, scalars, styles
from tests.support.twins import ENTITY, KNOWN_ID, NOTHING, STRUCTURE, VALUE_TYPES, Twins

TABLE = ENTITY + "/table/{t}"
PROFILES = TABLE + "/profile"
# A thousand in every run; `HYPOTHESIS_PROFILE=explore` asks for more.
EXAMPLES = max(1000, settings().max_examples)


def _document(**values: Any) -> dict[str, Any]:
    named = [{"name": name, "values" if isinstance(value, list) else "value": value} for name, value in values.items()]
    return {"attributes": [{"name": "emailAddress", "value": "known@example.com"}, *named]}


def _explicit() -> list[Any]:
    """Every trap as a value of every type, refused and stored; lists of one and of nothing, whole documents that are odd."""
    found: list[Any] = [[], None, "x", 0, {"attributes": []}, _document() | {"subscriptions": [], "segmentations": []}]
    for trap in (*TRAPS, 0, 1, Decimal("1.0"), Decimal("1E+3"), True, False, None):
        found += [
            _document(**{f"one{type_}": trap for type_ in VALUE_TYPES}, **{f"many{type_}": [trap] for type_ in VALUE_TYPES}),
            _document(oneTEXT=trap, manyTEXT=[trap], lastName="x"),
            _document(oneTEXT=[trap]),
        ]
    return [*found, *(_document(**{f"many{type_}": []}) for type_ in VALUE_TYPES)]


def _with_traps(test: Callable[..., None]) -> Callable[..., None]:
    for document in _explicit():
        test = example(document=document, style=PLAIN, crossed=False, query="")(test)
    return test


def test_the_same_document_has_the_same_effect(twins: Twins) -> None:
    seen: Counter[int] = Counter()

    @_with_traps
    @settings(max_examples=EXAMPLES)
    @given(document=profiles, style=styles, crossed=st.booleans(), query=st.sampled_from(["", "", "?allowUpdate=false"]))
    def same(document: Any, style: Style, crossed: bool, query: str) -> None:
        twins.reset()
        answer = twins.write("POST", PROFILES + query, document, style=style, crossed=crossed)
        if answer.status < 300:
            twins.state()
        else:
            assert twins.stored() == twins.at_first
        seen[answer.status] += 1

    same()

    assert seen.total() >= EXAMPLES
    # Neither only good documents nor only bad ones.
    assert min(seen[status] for status in (200, 201, 400, 409)) > EXAMPLES / 50, seen


class Step(NamedTuple):
    """One call on one profile: `where` follows the profile in the path, `{}` in it is a subscription or a segmentation."""

    method: str
    where: str
    document: Any
    root: str


_NO_BODY = st.just(NOTHING)


def _steps(method: str, where: str, *names: str, documents: Any = _NO_BODY, root: str = "profile") -> Any:
    places = st.sampled_from([where.format(name) for name in names or [""]])
    return st.tuples(st.just(method), places, documents, st.just(root)).map(lambda parts: Step(*parts))


_OWN = [
    KNOWN_ID,
    f"profileId={KNOWN_ID}",
    "emailAddress=known@example.com",
    "emailAddress=KNOWN@example.com",
    "cardNumber=K-1",
]
_OTHER = ["emailAddress=other@example.com", "memberNumber=2"]
_NEW = ["emailAddress=new@example.com", "joined=2027-03-01"]
_STRANGE = ["999999999", "memberNumber=x", "lastName=Vos", "other=1"]
_SUBSCRIPTIONS = ["Newsletter", "newsletter", "Weekly%20offers", "Other"]
_SEGMENTATIONS = [
    "Vip",
    "vip;category=Gold",
    "Loyalty;category=gold",
    "Loyalty?category=Silver",
    "Loyalty",
    "Floor;category=true",
    "x",
]
references = st.sampled_from([*_OWN, *_OTHER, *_NEW, *_NEW, *_STRANGE])
steps = st.one_of(
    _steps("PUT", "", documents=good_profiles),
    _steps("PUT", "", documents=good_profiles),
    _steps("PUT", "", documents=profiles),
    _steps("PUT", "/segmentation/{}", *_SEGMENTATIONS),
    _steps("DELETE", "/segmentation/{}", *_SEGMENTATIONS),
    _steps("POST", "/subscription/{}", *_SUBSCRIPTIONS),
    _steps("POST", "/subscription/{}", *_SUBSCRIPTIONS, documents=collection_bodies, root="subscription"),
    _steps("DELETE", "/subscription/{}", *_SUBSCRIPTIONS),
    _steps("DELETE", ""),
)


def test_the_same_calls_have_the_same_effect(twins: Twins) -> None:
    seen: Counter[int] = Counter()

    @settings(max_examples=EXAMPLES // 4)
    @given(plan=st.lists(st.tuples(references, steps), min_size=1, max_size=4), style=styles, crossed=st.booleans())
    def same(plan: list[tuple[str, Step]], style: Style, crossed: bool) -> None:
        twins.reset()
        for reference, step in plan:
            path = f"{PROFILES}/{reference}{step.where}"
            answer = twins.write(step.method, path, step.document, root=step.root, style=style, crossed=crossed)
            seen[answer.status] += 1
        for part in ("", "/subscription", "/segmentation"):
            twins.read(f"{PROFILES}/{plan[0][0]}{part}")
        twins.state()

    same()

    assert all(seen[status] > 5 for status in (200, 201, 204, 400, 404, 409)), seen


def _query(name: str, values: Any) -> Any:
    return values.map(lambda value: f"{name}={quote(str(value), safe='')}")


_ANY_ATTRIBUTE = st.sampled_from([a["name"] for a in STRUCTURE["attributes"]] + ["profileId", "updateMoment", "unknown"])
_OPERATORS = st.sampled_from(["=", "=", "!=", ">", ">=", "<", "<=", "~"])
_TESTS = st.tuples(_ANY_ATTRIBUTE, _OPERATORS, st.one_of(st.sampled_from(["", "Vos", "known@example.com"]), scalars)).map(
    lambda parts: "".join(map(str, parts))
)
_MOMENTS = st.sampled_from(["updateMoment>=2027-03-01", "creationMoment<2999-01-01", "updateMoment=x", "lastName=x", ""])
queries = st.lists(
    st.one_of(
        _query("search", _TESTS), _query("dateFilter", _MOMENTS), _query("number", st.sampled_from([1, 2, 1000, 0, "x"]))
    ),
    max_size=3,
).map("&".join)


@settings(max_examples=EXAMPLES // 8)
@given(documents=st.lists(good_profiles, max_size=2), asked=st.lists(queries, min_size=1, max_size=3))
def test_the_same_question_has_the_same_answer(twins: Twins, documents: list[Any], asked: list[str]) -> None:
    twins.reset()
    for document in documents:
        twins.write("POST", PROFILES, document)

    for query in asked:
        found = twins.read(f"{PROFILES}?{query}")
        counted = twins.read(f"{PROFILES}/count?{query}")

        if found.status == 200 and "number" not in query:
            assert counted.body == {"count": str(len(found.body["profiles"]))}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v4/entity", 200),
        (f"{ENTITY}/table", 200),
        (TABLE, 200),
        (f"{PROFILES}/{KNOWN_ID}", 200),
        (f"{PROFILES}/{KNOWN_ID}/interaction", 200),
        (f"{PROFILES}?search=lastName%3Dnobody", 200),
        (f"{PROFILES}?search=lastName%3DVos", 200),
        (f"{PROFILES}/999999999", 404),
        (f"{ENTITY}/table/Other/profile", 404),
        ("/v4/entity/other/table", 404),
        ("/v4/nothing", 404),
    ],
)
def test_an_answer_is_the_same_in_both_formats(path: str, status: int, pair: Twins) -> None:
    assert pair.read(path).status == status
