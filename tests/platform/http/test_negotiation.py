"""Which format an answer has, and what a body is taken for, by their headers."""

import pytest

from tabellion.platform.http.negotiation import (
    AcceptUnsupported,
    ContentTypeUnsupported,
    answer_format,
    charset,
    error_format,
    request_format,
    require_uncompressed,
)

JSON, PROBLEM, XML, TEXT_XML = "application/json", "problem", "application/xml", "text/xml"
MERGE_PATCH = "application/merge-patch+json"


@pytest.mark.parametrize(
    ("accept", "v4", "v5"),
    [
        (None, JSON, JSON),
        (" ", JSON, JSON),
        ("*", JSON, JSON),
        ("application/xml", XML, None),
        ("Text/XML", TEXT_XML, None),
        ("text/html", None, None),
        ("application/json;q=0.5, application/xml", XML, JSON),
        ("application/xml;q=0.5, application/json;q=0.5", JSON, JSON),
        ("application/json, application/xml;q=1.5", JSON, JSON),
        ("application/json;q=0", None, None),
        ("application/json;q=-1", None, None),
        ("application/json;q=much", None, None),
        ("application/json; charset=utf-8 ; Q = 0.1, application/xml;q=0.2", XML, JSON),
        ("application/json, application/json;q=0.1, application/xml;q=0.5", JSON, JSON),
        ("*/*;q=0.1, application/json;q=0", XML, None),
        ("application/*;q=0.1, application/json;q=0", XML, None),
        ("application/*, application/xml;q=0.5", JSON, JSON),
        ("text/*", TEXT_XML, None),
        ("application/*;q=0.2, text/xml;q=0.3", TEXT_XML, JSON),
        ("application/xml;q=0.9, text/xml", TEXT_XML, None),
        ("text/xml, application/xml", XML, None),
        ("application/problem+json", PROBLEM, PROBLEM),
        ("application/problem+json, application/xml", PROBLEM, PROBLEM),
        ("application/problem+json;q=0.1, application/xml", XML, PROBLEM),
        ("application/problem+json;q=0, application/json", JSON, JSON),
        (", application/json", JSON, JSON),
    ],
)
def test_the_best_format_that_is_offered_wins_and_json_a_tie(accept: str | None, v4: str | None, v5: str | None) -> None:
    for version, wanted, offered in (
        ("v1", v4, "application/json and application/xml"),
        ("v4", v4, "application/json and application/xml"),
        ("v5", v5, "application/json"),
    ):
        refused = error_format(accept, version)
        if wanted is None:
            with pytest.raises(AcceptUnsupported) as refusal:
                answer_format(accept, version)
            assert str(refusal.value) == f"'{accept}' is not offered; this call answers {offered}"
            assert (refused.is_xml, refused.is_problem) == (False, False)
            continue
        found = answer_format(accept, version)
        assert found == refused
        assert (found.is_xml, found.is_problem) == (wanted in {XML, TEXT_XML}, wanted == PROBLEM)
        assert found.content_type == f"{JSON if wanted == PROBLEM else wanted};charset=UTF-8"


@pytest.mark.parametrize(
    ("content_type", "v4", "v5"),
    [
        (None, "json", "json"),
        (" ", "json", "json"),
        (" Application/JSON ;charset=x", "json", "json"),
        ("application/xml", "xml", None),
        ("text/xml; charset=utf-8", "xml", None),
        (MERGE_PATCH, None, None),
        ("application/jsonx", None, None),
        ("", "json", "json"),
    ],
)
def test_a_body_is_what_its_label_says(content_type: str | None, v4: str | None, v5: str | None) -> None:
    for version, wanted, read in (("v4", v4, "application/json or application/xml"), ("v5", v5, "application/json")):
        assert request_format(content_type, has_body=False, version=version) == "json"
        if wanted is not None:
            assert request_format(content_type, has_body=True, version=version) == wanted
            continue
        with pytest.raises(ContentTypeUnsupported, match=f"this call reads {read}, not '"):
            request_format(content_type, has_body=True, version=version)
    assert request_format(MERGE_PATCH, has_body=True, version="v5", also=(MERGE_PATCH,)) == "json"


@pytest.mark.parametrize(
    ("content_type", "name"),
    [
        (None, None),
        ("text/xml", None),
        ("charset=utf-8", None),
        ('text/xml; Charset = "ISO-8859-1"', "iso-8859-1"),
        ("text/xml;xcharset=a;charset=utf-8;charset=b", "utf-8"),
    ],
)
def test_a_charset_is_a_parameter(content_type: str | None, name: str | None) -> None:
    assert charset(content_type) == name


@pytest.mark.parametrize("coding", ["gzip", "X-GZIP", "deflate", "compress", "x-compress", "identity, br", "zstd"])
def test_a_compressed_body_is_refused_by_its_label(coding: str) -> None:
    with pytest.raises(ContentTypeUnsupported) as refusal:
        require_uncompressed(coding)
    assert refusal.value.headers == {"Accept-Encoding": "identity"}
    for other in (None, "", "identity", "UTF-8"):
        require_uncompressed(other)
