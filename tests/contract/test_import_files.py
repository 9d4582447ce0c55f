"""What the files of imports may look like, and what is told of those that cannot be read."""

from typing import Any

import pytest

from tests.support.imports import GOOD, Imports, profile, zipped
from tests.support.tenant import Tenant


def test_flags_may_be_letters_in_a_file(imports: Imports, tenant: Tenant) -> None:
    header = "emailAddress,lastName,member,subscriptions#Newsletter,segmentations#Vip\n"
    fay = "fay@example.com,Fay,1,1,1\n"
    result = imports.do(
        header + f"bob@example.com,Bob,Y,n, y \ncat@example.com,Cat,N,Y,N\ndan@example.com,Dan,yes,J,1\n{fay},\n"
    )

    assert (result["rowsCreated"], result["rowsInError"]) == (3, 2)
    told = [(row["lineNumber"], row["errorCode"], row["errorColumn"]) for row in imports.errors(result["id"])]
    assert told == [("4", "attribute.type", "member"), ("6", "row.columns", "")]
    bob, cat = (profile(tenant, f"emailAddress={name}@example.com") for name in ("bob", "cat"))
    flags = [(p["attributes"]["member"], p["subscriptions"]["Newsletter"], p["segmentations"]["Vip"]) for p in (bob, cat)]
    assert flags == [(True, False, True), (False, True, False)]
    imports.do(header + "bob@example.com,Bob,,,N\neve@example.com,Eve,,,0\n")
    vips = [profile(tenant, f"emailAddress={name}@example.com")["segmentations"]["Vip"] for name in ("bob", "eve", "fay")]
    assert vips == [False, False, True]
    single = tenant.json("PATCH", "/v5/entities/hotels/profile-tables/Guests/profiles/1", {"attributes": {"member": "Y"}})
    assert single.status_code == 400


@pytest.mark.parametrize(
    ("encoding", "codec"),
    [
        ("UTF-8", "utf-8"),
        ("UTF-8", "utf-8-sig"),
        ("ISO-8859-1", "latin-1"),
        ("Windows-1252", "cp1252"),
        ("UTF-8", "utf-16"),
        ("latin1", "latin-1"),
        ("ISO8859_1", "latin-1"),
        ("Cp1252", "cp1252"),
    ],
)
def test_encodings(imports: Imports, tenant: Tenant, encoding: str, codec: str) -> None:
    result = imports.do(zipped("emailAddress,lastName\nbob@example.com,Lefèvre\n".encode(codec)), charset=encoding)

    assert result["status"] == "DONE", result
    assert profile(tenant, "emailAddress=bob@example.com")["attributes"]["lastName"] == "Lefèvre"


@pytest.mark.parametrize(
    ("file", "parameters", "code"),
    [
        (b"", None, "import.header"),
        (b"PK\x03\x04rubbish", None, "import.fileUnreadable"),
        (zipped(zipped("a,b\n")), None, "import.fileUnreadable"),
        (b"emailAddress,emailAddress\n", None, "import.header"),
        (b"emailAddress,shoeSize\n", None, "import.mapping"),
        (b"emailAddress\n", {"attributesMapping": [{"headerColumn": "x", "attributeName": "lastName"}]}, "import.mapping"),
        (b"emailAddress\n", {"keyColumn": "cardNumber"}, "import.keyColumn"),
        (b'emailAddress,lastName\na@example.com,"x\n', None, "import.quote"),
        (b'emailAddress,lastName\na@example.com,"x"y\n', None, "import.quote"),
    ],
)
def test_what_is_wrong_with_the_whole_file_is_told_by_the_job(
    imports: Imports, file: bytes, parameters: Any, code: str
) -> None:
    besides = {"audit", "idempotency", "import_job"}
    before = imports.tenant.state(but=besides)
    result = imports.do(file, parameters)

    assert (result["status"], result["withErrors"], result["rowsRead"]) == ("FAILED", True, 0)
    assert [error["code"] for error in result["errors"]] == [code]
    assert imports.tenant.state(but=besides) == before


def test_a_column_named_as_a_subscription_is_told_how_to_be_called(imports: Imports) -> None:
    (error,) = imports.do("emailAddress,newsletter\nbob@example.com,true\n")["errors"]
    assert error["message"].endswith("which the table lacks; its subscription is called 'subscriptions#Newsletter' here")
    for header, meant in (("emailAdress", "emailAddress"), ("subscriptions#Newslettr", "subscriptions#Newsletter")):
        (error,) = imports.do(f"{header},lastName\nbob@example.com,x\n")["errors"]
        assert error["message"].endswith(f"which the table lacks; did you mean '{meant}'?")


@pytest.mark.parametrize(
    ("parameters", "header"),
    [
        (None, "emailAddress;lastName"),
        ({"attributesMapping": [{"headerColumn": "mail", "attributeName": "emailAddress"}]}, "mail;name"),
    ],
)
def test_a_wrong_separator_is_told(imports: Imports, parameters: Any, header: str) -> None:
    result = imports.do(f"{header}\nbob@example.com;Bob\n", parameters)
    assert [error["code"] for error in result["errors"]] == ["import.mapping"]
    assert (
        "; is ';' the separator? The file was read with ',': 'format' says which, on the command line --separator"
        in result["errors"][0]["message"]
    )


def test_a_row_in_another_encoding_hears_which_one_was_expected(imports: Imports) -> None:
    result = imports.do("emailAddress,lastName\nbob@example.com,Lef\xe8vre\n".encode("latin-1"))
    (row,) = imports.errors(result["id"])
    assert (row["errorCode"], "bytes that UTF-8, in which" in row["errorMessage"]) == ("row.encoding", True)


def test_a_key_column_that_the_file_lacks_is_told_by_the_job(imports: Imports) -> None:
    """Integrations send one, and want an id."""
    for name in ("cardNumber", "externalKey"):
        result = imports.do(GOOD, headerKeyColumn=name)
        assert (result["status"], result["errors"][0]["code"]) == ("FAILED", "import.keyColumn")


def test_all_wrong_values_of_a_cell_are_told(imports: Imports) -> None:
    rows = "bob@example.com,Bob,SPA|SKI|GOLF|ZOO\ncat@example.com,Cat,SKI\ndan@example.com,Dan,SPA|GOLF\nno address,Eve,\n"
    result = imports.do(f"emailAddress,lastName,interests\n{rows}", {"keyColumn": "emailAddress"})

    assert (result["rowsCreated"], result["rowsInError"]) == (1, 3)
    told = [(row["errorCode"], row["errorMessage"].split("; ")) for row in imports.errors(result["id"])]
    assert [(code, [message.split(" '")[0] for message in messages]) for code, messages in told] == [
        ("attribute.value", ["value 2 of attribute", "value 4 of attribute"]),
        ("attribute.value", ["attribute"]),
        ("attribute.value", ["attribute"]),
    ]
