"""Settings: where they come from, what is refused, what is shown."""

from pathlib import Path

import pytest

from tabellion.settings import HELP, Settings, SettingsError, unknown_variables


def test_defaults_without_any_variable() -> None:
    settings = Settings.load({})
    assert settings == Settings()
    assert (settings.host, settings.port, settings.data_dir) == ("127.0.0.1", 8080, Path("tabellion-data"))


def test_variables_win_over_defaults_and_options_over_variables() -> None:
    environment = {"TABELLION_PORT": "9000", "TABELLION_HOST": "0.0.0.0", "TABELLION_TRUSTED_PROXIES": "10.0.0.1, 10.0.0.2"}
    settings = Settings.load(environment, port=9001, host=None)
    assert (settings.port, settings.host) == (9001, "0.0.0.0")
    assert settings.trusted_proxies == ("10.0.0.1", "10.0.0.2")


def test_addresses_of_proxies_are_written_as_those_of_callers_are() -> None:
    settings = Settings.load({"TABELLION_TRUSTED_PROXIES": "0:0:0:0:0:0:0:1, 2001:DB8::5"})
    assert settings.trusted_proxies == ("::1", "2001:db8::5")


def test_an_empty_variable_is_no_variable() -> None:
    assert Settings.load({"TABELLION_PORT": " "}).port == 8080


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("TABELLION_PORT", "abc", "TABELLION_PORT: 'abc' is not a whole number"),
        ("TABELLION_PORT", "0", "TABELLION_PORT: 0 is not between 1 and 65535"),
        ("TABELLION_WORKERS", "65", "TABELLION_WORKERS: 65 is not between 1 and 64"),
        ("TABELLION_LOG_LEVEL", "loud", "TABELLION_LOG_LEVEL: 'loud' is not one of debug, info, warning, error"),
        ("TABELLION_MAIL_NAME", "[192.0.2.25]", "TABELLION_MAIL_NAME: '[192.0.2.25]' is no domain"),
        ("TABELLION_BOUNCE_DOMAIN", "bounces", "TABELLION_BOUNCE_DOMAIN: 'bounces' is no domain"),
        (
            "TABELLION_PUBLIC_URL",
            "mail.example.com",
            "TABELLION_PUBLIC_URL: 'mail.example.com' is no address such as https://",
        ),
        ("TABELLION_PUBLIC_URL", "https://", "TABELLION_PUBLIC_URL: 'https://' is no address"),
        ("TABELLION_PUBLIC_URL", "https://x:99999", "TABELLION_PUBLIC_URL: 'https://x:99999' is no address"),
        ("TABELLION_PUBLIC_URL", "https://exämple.com", "TABELLION_PUBLIC_URL: 'https://exämple.com' is no address"),
        (
            "TABELLION_PUBLIC_URL",
            'https://example.com/a"b',
            "TABELLION_PUBLIC_URL: 'https://example.com/a\"b' is no address",
        ),
        ("TABELLION_PUBLIC_URL", "https://x/?a=1", "TABELLION_PUBLIC_URL: 'https://x/?a=1' is no address"),
        ("TABELLION_TRUSTED_PROXIES", "10.0.0.1,proxy.local", "TABELLION_TRUSTED_PROXIES: 'proxy.local' is no IP address"),
        ("TABELLION_TRUSTED_PROXIES", "10.0.0.0/8", "TABELLION_TRUSTED_PROXIES: '10.0.0.0/8' is no IP address"),
        ("TABELLION_TRANSFERS_FOLDER", "in/files", "TABELLION_TRANSFERS_FOLDER: 'in/files' is not the whole path"),
        ("TABELLION_DATABASE_URL", "mysql://x", "TABELLION_DATABASE_URL: a URL such as postgresql:"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_variable(variable: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.load({variable: value})
    assert str(refusal.value).startswith(message)


def test_the_domain_of_bounces_may_have_letters_beyond_ascii() -> None:
    assert Settings.load({"TABELLION_BOUNCE_DOMAIN": "back.Exämple.com"}).bounce_domain == "back.xn--exmple-cua.com"
    assert Settings.load({"TABELLION_BOUNCE_DOMAIN": "Back.example.com"}).bounce_domain == "Back.example.com"


def test_child_processes_get_the_same_settings() -> None:
    settings = Settings(port=9000, trusted_proxies=("10.0.0.1", "::1"), data_dir=Path("/srv/t"), log_level="warning")
    assert Settings.load(settings.environment()) == settings


def test_every_setting_is_described() -> None:
    assert list(HELP) == list(Settings.__struct_fields__)
    assert [one.variable for one in Settings().described()] == [f"TABELLION_{name.upper()}" for name in HELP]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://tab:s3cr:t@db/main", "postgresql://tab:***@db/main"),
        ("postgresql://tab:s3cr@t@db/main", "postgresql://tab:***@db/main"),
        ("postgresql://:s3cret@db/main", "postgresql://:***@db/main"),
        (
            "postgresql://db/main?user=tab&password=s3cret&sslmode=require",
            "postgresql://db/main?user=tab&password=***&sslmode=require",
        ),
        ("postgresql://tab@db:5432/main", "postgresql://tab@db:5432/main"),
    ],
)
def test_passwords_are_not_shown(url: str, shown: str) -> None:
    assert {one.variable: one.value for one in Settings(database_url=url).described()}["TABELLION_DATABASE_URL"] == shown


def test_mistyped_variables_are_found() -> None:
    assert unknown_variables({"TABELLION_PROT": "1", "TABELLION_PORT": "1", "PATH": ""}) == ["TABELLION_PROT"]


def test_the_page_on_settings_lists_them_all_with_their_defaults() -> None:
    page = (Path(__file__).parents[1] / "docs/operations/settings.md").read_text()
    rows = {row.split("|")[1].strip(" `"): row.split("|") for row in page.splitlines() if row.startswith("| `TABELLION_")}
    described = Settings().described()
    assert list(rows) == [one.variable for one in described]
    for one in described:
        _, _, unit, default, _, _ = rows[one.variable]
        assert unit.strip() == one.unit
        assert default.strip().startswith(f"`{one.default}`" if one.default != "" else "none")


@pytest.mark.parametrize("password", ["s3c%ret", "s3c/ret", "s3c@ret", "s3c/r@et"])
def test_a_password_that_breaks_its_url_is_not_told(password: str) -> None:
    with pytest.raises(SettingsError, match="in its names and its password % is written as %25") as refused:
        Settings.load({"TABELLION_DATABASE_URL": f"postgresql://tab:{password}@db.example.com/tab"})
    assert not any(part in str(refused.value) for part in ("s3c", "ret@", "et@"))


def test_a_parameter_that_no_url_of_a_database_has_is_named() -> None:
    with pytest.raises(SettingsError, match=r"no parameter 'sslrootcrt'; did you mean 'sslrootcert'\?"):
        Settings.load({"TABELLION_DATABASE_URL": "postgresql://tab:s3c@h/t?sslmode=require&sslrootcrt=/x"})
    with pytest.raises(SettingsError, match="its password % is written") as refused:
        Settings.load({"TABELLION_DATABASE_URL": "postgresql://tab:s/3?c=ret@h/t"})
    assert "'c'" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["postgresql://t:a%40%2Fb:c#d@h/t", "postgresql:///t?host=/run/x&user=a@b", "postgres://h1,h2:5433/t"]
)
def test_urls_of_databases_are_taken(url: str) -> None:
    assert Settings.load({"TABELLION_DATABASE_URL": url}).database_url == url


@pytest.mark.parametrize(
    ("variables", "outside"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"TABELLION_HOST": "::1", "TABELLION_PORT": "81"}, "http://[::1]:81"),
        ({"TABELLION_PUBLIC_URL": "https://www.example.com/tabellion/"}, "https://www.example.com/tabellion"),
    ],
)
def test_what_mails_lead_to_is_an_address_that_paths_can_follow(variables: dict[str, str], outside: str) -> None:
    assert Settings.load(variables).outside_address == outside
