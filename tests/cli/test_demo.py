"""`tabellion demo`: the people, the way answers are printed, and the whole demo as its user sees it."""

import json
import re
from itertools import islice
from pathlib import Path

import pytest

from tabellion.cli.people import people
from tabellion.cli.walk import pretty, pretty_xml
from tests.support.api import free_port, running_api
from tests.support.serving import json_here, run


def test_the_people_are_the_same_each_time_and_nobody_can_own_their_addresses() -> None:
    first, second = list(people(1000)), list(people(1000))
    assert first == second
    addresses = [one["attributes"]["emailAddress"] for one in first]
    assert len(set(addresses)) == 1000
    assert {address.split("@")[1] for address in addresses} == {"example.com", "example.org", "example.net"}
    assert [one["key"]["emailAddress"] for one in first] == addresses
    numbers = [number for one in first if (number := one["attributes"]["cardNumber"])]
    assert len(set(numbers)) == len(numbers)


def test_fewer_people_are_the_first_of_them() -> None:
    assert list(people(10)) == list(islice(people(1000), 10))


def test_json_is_printed_for_people_and_stays_json() -> None:
    value = {"a": [{"name": f"attribute {n}", "value": None} for n in range(8)], "b": {}, "c": "é"}
    shown = pretty(value)
    assert json.loads(shown) == value
    assert '\n    {"name": "attribute 0", "value": null},\n' in shown
    assert pretty({"id": 1}) == '{"id": 1}'


def test_xml_is_indented() -> None:
    assert pretty_xml('<?xml version="1.0" encoding="UTF-8"?><a><b>1</b></a>') == "<a>\n  <b>1</b>\n</a>"


@pytest.mark.system
def test_the_demo_runs_once_and_again_over_its_own_data(tmp_path: Path) -> None:
    port = str(free_port())
    for first in (True, False):
        # The environment says it the second time.
        demo = (
            run("demo", "--once", "--port", port, cwd=tmp_path)
            if first
            else run("demo", "--once", cwd=tmp_path, TABELLION_PORT=port)
        )
        assert demo.returncode == 0, demo.stdout[-2000:] + demo.stderr
        assert "1,000 invented people, one call each" in demo.stdout
        for title in (
            "create a profile",
            "the same in XML (deprecated)",
            "the history of the consent",
            "the usage of the licence",
            "and this arrives at a receiver",
            "and its error file, with the 5 rows to mend",
            "what was exported",
            "what became of it",
        ):
            assert title in demo.stdout
        assert "tat_" in demo.stdout
        # The campaign of last week is there already the second time.
        assert ("a campaign of last week to 600 of them, opened and clicked" in demo.stdout) is first
        if first:
            # As of a real newsletter: some open it twice, few follow a link.
            told = re.search(r"(\d+) delivered, (\d+) opened \((\d+) times\), (\d+) clicked", " ".join(demo.stdout.split()))
            assert told, demo.stdout
            delivered, opened, times, clicked = map(int, told.groups())
            assert 580 <= delivered < 600
            assert delivered * 0.3 < opened < delivered * 0.6
            assert opened * 1.1 < times < opened * 1.5
            assert opened * 0.1 < clicked < opened * 0.4
        assert "/mails/Winter%20sale/report/page" in demo.stdout
        # What can be looked at is told after what starts the server again, for it has been stopped by then.
        walked, stopped = demo.stdout.split("stopping: calls in flight are finished")
        assert "/docs/checker" not in walked
        again, then = stopped.split(f" serve --data-dir demo-data --port {port}\n")
        assert "The server has been stopped" in again
        assert f"http://127.0.0.1:{port}/docs" in then
        assert "/v4/entity/shop/table/Contacts/profile/1\n" in then
        assert "webhooks       may go to http:// and to private addresses while the demo runs" in then
        assert ("what earlier runs of the demo printed is not valid any more" in then) is not first
    (listed,) = json_here("table", "list", "demo", cwd=tmp_path, TABELLION_DATA_DIR="demo-data")
    assert (listed["name"], listed["entity"], listed["attributes"]) == ("Contacts", "shop", 13)


@pytest.mark.system
def test_the_demo_does_not_touch_a_server_that_has_its_port(tmp_path: Path, worker_database_url: str) -> None:

    with running_api(worker_database_url, tmp_path) as other:
        demo = run("demo", "--once", "--port", str(other.port), cwd=tmp_path)
    assert demo.returncode == 1
    assert "cannot be listened on" in demo.stderr
    assert not (tmp_path / "demo-data").exists()
