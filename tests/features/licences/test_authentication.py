"""From the words of a request to a credential: what is read, what is refused, whose failures are counted together."""

import asyncio
import os
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import psycopg
import pytest

from tabellion.features import licences as use
from tabellion.features.licences import Authentication, Credential, Credentials, Unauthorized, passwords
from tabellion.features.licences import authentication as reading
from tabellion.features.licences.authentication import MAX_ADDRESS_FAILURES, MAX_USER_FAILURES
from tabellion.features.licences.errors import AuthThrottled
from tabellion.features.licences.passwords import PasswordChecks
from tabellion.kit import keys
from tabellion.kit.clock import utc_now
from tabellion.platform.database.errors import Unavailable
from tabellion.platform.database.pool import Pool, open_pool
from tests.support.passwords import quick_passwords

HERE, THERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture(scope="module")
def website(worker_database_url: str) -> Iterator[Credentials]:
    """An API user of a licence."""

    async def make() -> Credentials:
        async with await psycopg.AsyncConnection.connect(worker_database_url, autocommit=True) as db:
            await use.create_licence(db, f"door-{os.getpid()}", utc_now())
            return await use.create_user(db, f"door-{os.getpid()}", "website", utc_now())

    async def delete(name: str) -> None:
        async with await psycopg.AsyncConnection.connect(worker_database_url, autocommit=True) as db:
            await use.delete_licence(db, name, utc_now())

    with quick_passwords():
        made = asyncio.run(make())
    yield made
    asyncio.run(delete(made.licence))


@pytest.fixture
async def pool(worker_database_url: str) -> AsyncIterator[Pool]:
    """As an API process has it; nobody has failed so far."""
    pool = await open_pool(worker_database_url, min_size=1, max_size=10, application_name="test")
    async with pool.connection() as db:
        await db.execute("DELETE FROM tabellion.auth_failure")
    yield pool
    await pool.close()


async def failures(pool: Pool) -> dict[str, int]:
    async with pool.connection() as db:
        return dict(await (await db.execute("SELECT subject, failures FROM tabellion.auth_failure")).fetchall())


async def have_failed(pool: Pool, times: int, *subjects: str) -> None:
    """As if these had failed so often."""
    query = "INSERT INTO tabellion.auth_failure SELECT s, %s, now() FROM unnest(%s::text[]) s"
    async with pool.connection() as db:
        await db.execute(query, (times, list(subjects)))


def basic(text: str) -> str:
    return f"Basic {b64encode(text.encode()).decode()}"


async def test_an_authorization_header_is_read_in_all_its_forms(pool: Pool, website: Credentials) -> None:
    authentication = Authentication(pool, utc_now)
    key, token = website.api_key, keys.new_token()
    whole = f"{website.licence}/{website.login}:{website.password}"
    for header, expected in (
        (key, ("k", "key", keys.digest(key))),
        (f" Bearer  {key} ", ("k", "key", keys.digest(key))),
        (f"bEARER {token}", ("t", "token", keys.digest(token))),
        (token, ("t", "token", keys.digest(token))),
        (basic(whole).replace("Basic", "BASIC "), ("u", "password", b"")),
        (basic(whole.replace("door", "Door").replace("website", "WEBSITE")), ("u", "password", b"")),
    ):
        found = await authentication.read(header, HERE)
        assert (found.kind, found.name, found.digest) == expected, header
    assert await authentication.key(key, HERE) == Credential("k", keys.digest(key))
    with pytest.raises(Unauthorized, match="an access token is given for an API key"):
        await authentication.key(token, HERE)
    assert await failures(pool) == {}


@pytest.mark.parametrize(
    ("header", "code", "words", "counted"),
    [
        (None, "auth.missing", "access token or API key", []),
        ("", "auth.missing", "credentials are missing", []),
        (" ", "auth.missing", "credentials are missing", []),
        ("Bearer", "auth.invalid", "are not known", [f"address:{HERE}"]),
        ("Bearer tbl_nonsense", "auth.invalid", "are not known", [f"address:{HERE}"]),
        pytest.param(
            f"Bearer {keys.new_token().replace('tat_', 'tbl_')[:-1]}",
            "auth.invalid",
            "are not known",
            [f"address:{HERE}"],
            id="a token that is too short",
        ),
        ("Digest username", "auth.invalid", "is Bearer or Basic", []),
        ("Basic !" + basic("a/b:c").removeprefix("Basic "), "auth.invalid", "base64 of licence/login:password", []),
        (basic("a/b"), "auth.invalid", "base64 of licence/login:password", []),
        (basic("a:b"), "auth.invalid", "base64 of licence/login:password", []),
        (basic("a\0/b:c"), "auth.invalid", "licence, login or password is wrong", []),
        (basic("a/b\0:c"), "auth.invalid", "licence, login or password is wrong", []),
        (basic("a/b:c\0"), "auth.invalid", "licence, login or password is wrong", []),
        (basic("a/b:c"), "auth.invalid", "licence, login or password is wrong", [f"address:{HERE}", "user:a/b"]),
        (basic("A/B:c:d/e"), "auth.invalid", "licence, login or password is wrong", [f"address:{HERE}", "user:a/b"]),
    ],
)
async def test_what_is_no_credential_is_refused_and_guesses_are_counted(
    header: str | None, code: str, words: str, counted: list[str], pool: Pool
) -> None:
    with pytest.raises(Unauthorized, match=words) as refusal:
        await Authentication(pool, utc_now).read(header, HERE)
    assert (refusal.value.code, "WWW-Authenticate" in refusal.value.headers) == (code, True)
    assert await failures(pool) == dict.fromkeys(counted, 1)


async def test_failures_of_one_user_from_anywhere_keep_no_other_one_out(pool: Pool, website: Credentials) -> None:
    authentication = Authentication(pool, utc_now)
    licence, login = website.licence, website.login
    for number in range(MAX_USER_FAILURES):
        with pytest.raises(Unauthorized):
            await authentication.password(licence.upper(), login.title(), "guess", f"192.0.2.{number}")
    with pytest.raises(AuthThrottled) as refusal:
        await authentication.password(licence, login, "guess", HERE)
    assert refusal.value.headers == {"Retry-After": "60"}
    # The right password too: who guesses must not see by it that it is one.
    with pytest.raises(AuthThrottled):
        await authentication.password(licence, login, website.password, HERE)
    for other in ((licence, "websites"), ("another", login)):
        with pytest.raises(Unauthorized):
            await authentication.password(*other, "guess", HERE)


async def test_failures_before_the_last_minute_count_no_more(pool: Pool, website: Credentials) -> None:
    subject, guess = f"user:{website.licence}/{website.login}", (website.licence, website.login, "guess", HERE)
    await have_failed(pool, MAX_USER_FAILURES - 1, subject)
    now = utc_now()
    counted: list[tuple[type[Exception], int]] = []
    # Those that come meanwhile do not make the minute longer.
    for seconds in (30, 59, 59, 61):
        with pytest.raises((Unauthorized, AuthThrottled)) as refusal:
            await Authentication(pool, lambda: now + timedelta(seconds=seconds)).password(*guess)  # noqa: B023 - at once
        counted.append((refusal.type, (await failures(pool))[subject]))
    assert counted == [
        (Unauthorized, MAX_USER_FAILURES),
        (AuthThrottled, MAX_USER_FAILURES + 1),
        (AuthThrottled, MAX_USER_FAILURES + 1),
        (Unauthorized, 1),
    ]


async def test_a_key_that_nobody_has_is_a_guess_and_an_old_token_is_none(pool: Pool) -> None:
    authentication = Authentication(pool, utc_now)
    await have_failed(pool, MAX_ADDRESS_FAILURES, f"address:{THERE}")
    for kind in ("t", "u"):
        assert isinstance(await authentication.refused(Credential(kind, b"x"), THERE), Unauthorized)
    assert isinstance(await authentication.refused(Credential("k", b"x"), HERE), Unauthorized)
    with pytest.raises(AuthThrottled):
        await authentication.refused(Credential("k", b"x"), THERE)
    assert await failures(pool) == {f"address:{HERE}": 1, f"address:{THERE}": MAX_ADDRESS_FAILURES + 1}


async def test_a_right_password_is_checked_once_until_it_is_refused(pool: Pool, website: Credentials) -> None:
    authentication = Authentication(pool, utc_now)
    async with pool.connection() as db:
        with quick_passwords():
            clerk = await use.create_user(db, website.licence, "clerk", utc_now())
            first = await authentication.password(clerk.licence, clerk.login, clerk.password, HERE)
            await use.rotate_user(db, website.licence, "clerk", utc_now(), password=clerk.password)
    assert (first.user_id > 0, first.version) == (True, 1)
    assert await authentication.password(clerk.licence, clerk.login, clerk.password, HERE) == first
    with pytest.raises(Unauthorized):
        await authentication.password(clerk.licence, clerk.login, f"{clerk.password}!", HERE)
    # The gate does not know the old version.
    assert "is wrong" in str(await authentication.refused(first, HERE))
    second = await authentication.password(clerk.licence, clerk.login, clerk.password, HERE)
    assert second == first._replace(version=2)
    assert await failures(pool) == {f"address:{HERE}": 1, f"user:{website.licence}/clerk": 1}


def test_good_passwords_are_remembered_for_a_while_and_not_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_MAX_REMEMBERED", 2)
    checks = PasswordChecks()
    for number, credential in enumerate(("a/b:one", "a/b:two", "a/b:three", "a/b:\ud800")):
        checks.remember(credential, number, 7)
    assert [checks.remembered(each) for each in ("a/b:one", "a/b:two", "a/b:three", "a/b:\ud800", "a/b:four")] == [
        None,
        None,
        (2, 7),
        (3, 7),
        None,
    ]
    checks.forget("a/b:three")
    checks.forget("a/b:four")
    assert checks.remembered("a/b:three") is None
    monkeypatch.setattr(passwords, "_REMEMBERED_S", -1.0)
    checks.remember("a/b:one", 1, 7)
    assert checks.remembered("a/b:one") is None


async def test_a_password_that_cannot_be_one_fits_nothing() -> None:
    checks = PasswordChecks()
    with quick_passwords():
        assert not await checks.matches(None, "x")
    assert not await checks.matches("no hash", "x")
    assert not await checks.matches(passwords._NOBODY, "\ud800")


async def test_guesses_that_come_at_once_are_tried_up_to_the_limit(
    pool: Pool, website: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    real = passwords.PasswordChecks.matches

    async def counted(checks: passwords.PasswordChecks, password_hash: str | None, password: str) -> bool:
        tried.append(password)
        return await real(checks, password_hash, password)

    monkeypatch.setattr(passwords.PasswordChecks, "matches", counted)
    authentication = Authentication(pool, utc_now)
    guesses = (authentication.password(website.licence, website.login, f"guess {i}", "192.0.2.1") for i in range(60))
    refusals = [type(each) for each in await asyncio.gather(*guesses, return_exceptions=True)]
    # Two are tried at a time: one may be on its way when the limit is passed.
    assert MAX_USER_FAILURES <= len(tried) <= MAX_USER_FAILURES + 2
    assert set(refusals) == {Unauthorized, AuthThrottled}


async def test_passwords_do_not_wait_without_end_for_others_that_wait_for_the_database(
    pool: Pool, website: Credentials, worker_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "_PATIENCE_S", 0.1, raising=False)
    authentication = Authentication(pool, utc_now)
    async with await psycopg.AsyncConnection.connect(worker_database_url) as other:
        await other.execute("LOCK TABLE tabellion.auth_failure IN ACCESS EXCLUSIVE MODE")
        async with asyncio.TaskGroup() as group, asyncio.timeout(3):
            first = [
                group.create_task(authentication.password(website.licence, website.login, website.password, HERE))
                for _ in range(2)
            ]
            await asyncio.sleep(0)
            with pytest.raises(Unavailable):
                await authentication.password(website.licence, website.login, website.password, THERE)
            await other.rollback()
    assert [task.result().name for task in first] == ["password"] * 2


def test_who_is_unknown_is_checked_at_the_cost_of_a_user() -> None:
    assert not passwords._HASHER.check_needs_rehash(passwords._NOBODY)


async def test_addresses_of_one_ipv6_network_are_counted_together(pool: Pool, website: Credentials) -> None:
    authentication = Authentication(pool, utc_now)

    async def refusal(address: str) -> type[Exception]:
        with pytest.raises((Unauthorized, AuthThrottled)) as found:
            await authentication.key("tbl_nonsense", address)
        return found.type

    for i in range(MAX_ADDRESS_FAILURES):
        assert await refusal(f"2001:db8:1:2::{i:x}") is Unauthorized
    assert await refusal("2001:db8:1:2:ffff::1") is AuthThrottled
    for other in ("2001:db8:1:3::1", "::ffff:192.0.2.1", "192.0.2.2", "", "fe80::1%eth0"):
        assert await refusal(other) is Unauthorized
    with pytest.raises(AuthThrottled):
        await Authentication(pool, utc_now).password(website.licence, website.login, "guess", "2001:db8:1:2::9")


async def test_origins_that_are_closed_are_not_remembered_without_end(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_MOST_CLOSED", 2)
    authentication = Authentication(pool, utc_now)
    origins = [f"address:192.0.2.{number}" for number in range(3)]
    await have_failed(pool, MAX_ADDRESS_FAILURES, *origins)
    for origin, closed in zip(origins, (origins[:1], origins[:2], origins[2:]), strict=True):
        with pytest.raises(AuthThrottled):
            await authentication.key("tbl_nonsense", origin.removeprefix("address:"))
        assert list(authentication._closed_until_s) == closed


async def test_a_flood_of_wrong_keys_is_not_written_down_one_by_one(pool: Pool, website: Credentials) -> None:
    authentication = Authentication(pool, utc_now)
    for _ in range(MAX_ADDRESS_FAILURES + 20):
        with pytest.raises((Unauthorized, AuthThrottled)):
            await authentication.key("tbl_nonsense", "192.0.2.1")
    with pytest.raises(AuthThrottled):
        await authentication.password(website.licence, website.login, "guess", "192.0.2.1")
    async with pool.connection() as db:
        cursor = await db.execute("SELECT subject, failures FROM tabellion.auth_failure")
        assert await cursor.fetchall() == [("address:192.0.2.1", MAX_ADDRESS_FAILURES + 1)]


async def test_failures_from_before_the_clock_was_put_back_count_no_more(pool: Pool, website: Credentials) -> None:
    ahead = Authentication(pool, lambda: utc_now() + timedelta(hours=1))
    for _ in range(MAX_USER_FAILURES + 1):
        with pytest.raises((Unauthorized, AuthThrottled)):
            await ahead.password(website.licence, website.login, "wrong", "192.0.2.7")
    with pytest.raises(AuthThrottled):
        await ahead.password(website.licence, website.login, "wrong", "192.0.2.7")
    with pytest.raises(Unauthorized):
        await Authentication(pool, utc_now).password(website.licence, website.login, "wrong", "192.0.2.7")
