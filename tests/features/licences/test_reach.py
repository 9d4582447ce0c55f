"""Which entities an API user reaches, in which order, and what it is told of the others."""

from datetime import timedelta

import pytest

from tabellion.features import licences as use
from tabellion.features.licences import check_reach, check_reaches_all, find_caller, named_entity, resolve_entity
from tabellion.features.licences.errors import EntityForbidden, EntityUnknown
from tabellion.kit import keys
from tabellion.kit.clock import utc_now
from tabellion.kit.problem import Invalid
from tabellion.platform.http.caller import Caller
from tests.support.passwords import quick_passwords
from tests.support.structure import Bench


async def caller(bench: Bench, login: str, **options: object) -> Caller:
    """What calls are told of a new API user."""
    with quick_passwords():
        await use.create_user(bench.db, bench.licence, login, utc_now(), **options)
    user_id, version = await bench.row(
        "SELECT u.id, l.catalogue_version FROM tabellion.api_user u JOIN tabellion.licence l ON l.id = u.licence_id "
        "WHERE l.id = %s AND u.login = %s",
        bench.licence_id,
        login,
    )
    found = await find_caller(bench.db, user_id, bench.licence_id, version)
    assert found is not None
    return found


async def test_the_default_entity_comes_first_and_stands_for_a_hyphen(bench: Bench) -> None:
    await use.create_entity(bench.db, bench.licence, "Attic", utc_now())
    for login, options, names in (
        ("all", {}, ["hotels", "Attic", "spas"]),
        ("all from spas", {"default_entity": "SPAS"}, ["spas", "Attic", "hotels"]),
        ("two", {"entities": ["spas", "attic"], "default_entity": "spas"}, ["spas", "Attic"]),
        ("two from the first", {"entities": ["spas", "attic"]}, ["spas", "Attic"]),
        ("none", {"entities": []}, []),
    ):
        user = await caller(bench, login, **options)
        assert [entity.name for entity in user.entities] == names, login
        for name in ("Attic", "hotels", "spas"):
            if name in names:
                assert resolve_entity(user, name.upper()).name == name
            else:
                with pytest.raises(EntityForbidden, match=f"'{name.upper()}'"):
                    resolve_entity(user, name.upper())
        with pytest.raises(EntityUnknown, match="no entity 'moon'"):
            resolve_entity(user, "moon")
        if names:
            assert resolve_entity(user, "-") == user.entities[0]
        else:
            with pytest.raises(EntityUnknown, match="no entity '-'"):
                resolve_entity(user, "-")


async def test_what_is_referred_to_has_to_be_in_reach(bench: Bench) -> None:
    near, everywhere = await caller(bench, "near", entities=["hotels"]), await caller(bench, "everywhere")
    hotels, spas = everywhere.entities
    check_reach(near, hotels.id, "the table")
    check_reach(everywhere, spas.id, "the table")
    with pytest.raises(EntityForbidden, match="the table belongs to an entity"):
        check_reach(near, spas.id, "the table")
    check_reaches_all(everywhere, "this")
    with pytest.raises(EntityForbidden, match="this is about the whole licence"):
        check_reaches_all(near, "this")
    assert named_entity(near, "Hotels", "entityOfTarget") == hotels
    with pytest.raises(EntityForbidden):
        named_entity(near, "spas", "entityOfTarget")
    with pytest.raises(Invalid) as refusal:
        named_entity(near, "moon", "entityOfTarget")
    assert [(fault.field, fault.code) for fault in refusal.value.errors] == [("entityOfTarget", "entity.unknown")]


async def test_a_token_is_good_for_a_quarter_of_an_hour_and_kept_as_a_digest(bench: Bench) -> None:
    incoming = await bench.incoming("auth.token")
    answer = await incoming.call.handler(incoming)
    document = answer.body
    assert (document.token_type, document.expires_in, answer.headers) == ("bearer", "900s", {"Cache-Control": "no-store"})
    row = await bench.row("SELECT hash, expires_at FROM tabellion.access_token WHERE user_id = %s", incoming.caller.user_id)
    assert row == (keys.digest(document.access_token), incoming.now + timedelta(minutes=15))
