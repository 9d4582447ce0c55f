"""The server's settings: one typed record, read from the environment (`TABELLION_*`) in this one place."""

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tabellion.kit.domain import in_ascii, is_domain
from tabellion.kit.nameserver import server_of
from tabellion.kit.near import meant

PREFIX = "TABELLION_"


class SettingsError(Exception):
    """A setting cannot be used; the message names its variable and says why."""


class Setting(msgspec.Struct, frozen=True):
    """What `tabellion settings` shows of one setting."""

    variable: str
    help: str
    unit: str
    default: Any
    value: Any


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that an operator may set. Names are those of the variables, in lower case and without the prefix."""

    data_dir: Path = Path("tabellion-data")
    database_url: str = ""
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    job_workers: int = 1
    connections: int = 24
    max_body_bytes: int = 2 * 1024 * 1024
    trusted_proxies: tuple[str, ...] = ()
    log_level: str = "info"
    audit_retention_days: int = 400
    webhooks_allow_http: bool = False
    webhooks_allow_private: bool = False
    public_url: str = ""
    transfers_allow_http: bool = False
    transfers_allow_private: bool = False
    transfers_folder: Path | None = None
    secret_key: str = ""
    former_secret_keys: tuple[str, ...] = ()
    mail_name: str = ""
    bounce_domain: str = ""
    dns_servers: tuple[str, ...] = ()
    intake_host: str = "127.0.0.1"
    intake_port: int = 0
    refusals_in_a_row: int = 20
    soft_bounces: int = 5
    soft_bounce_days: int = 30
    mail_personal_days: int = 0

    @property
    def spool_dir(self) -> Path:
        """Where uploads and the files of jobs lie; all processes of a server share it."""
        return self.data_dir / "spool"

    @classmethod
    def load(cls, environment: Mapping[str, str] = os.environ, **overrides: Any) -> "Settings":
        """The settings of an environment; `overrides` (options) that are not None win. Raises `SettingsError`."""
        values: dict[str, Any] = {}
        for field in cls.__struct_fields__:
            text = environment.get(PREFIX + field.upper())
            if text is not None and text.strip():
                values[field] = _parse(field, text.strip())
        values |= {name: value for name, value in overrides.items() if value is not None}
        settings = cls(**values)
        settings.check()
        return settings

    def check(self) -> None:
        """Raise `SettingsError` for values that make no sense."""
        ranges = {"port": (1, 65535), "workers": (1, 64), "connections": (1, 200), "audit_retention_days": (1, 36_500)}
        ranges["job_workers"] = (1, 64)
        ranges["max_body_bytes"] = (1024, 64 * 1024 * 1024)
        ranges |= {
            "intake_port": (0, 65535),
            "refusals_in_a_row": (0, 10_000),
            "soft_bounces": (1, 1000),
            "soft_bounce_days": (1, 365),
            "mail_personal_days": (0, 36_500),
        }
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise SettingsError(f"{PREFIX}{name.upper()}: {getattr(self, name)} is not between {low} and {high}")
        if self.log_level not in _LEVELS:
            raise SettingsError(f"{PREFIX}LOG_LEVEL: '{self.log_level}' is not one of {', '.join(_LEVELS)}")
        for text in self.trusted_proxies:
            if not _is_ip_address(text):
                message = f"'{text}' is no IP address; names and networks are not taken, list the address of each proxy"
                raise SettingsError(f"{PREFIX}TRUSTED_PROXIES: {message}")
        if self.transfers_folder is not None and not self.transfers_folder.is_absolute():
            message = f"'{self.transfers_folder}' is not the whole path of a folder, such as /srv/transfers"
            raise SettingsError(f"{PREFIX}TRANSFERS_FOLDER: {message}")
        for text in self.dns_servers:
            try:
                server_of(text)
            except ValueError as error:
                raise SettingsError(f"{PREFIX}DNS_SERVERS: '{text}' is no address of a name server: {error}") from None
        if self.database_url and (wrong := _wrong_with(self.database_url)):
            raise SettingsError(f"{PREFIX}DATABASE_URL: {wrong}")
        if self.public_url and not _is_address(self.public_url):
            such = "such as https://mail.example.com (no query or fragment; ä is xn--... in a name, %C3%A4 behind it)"
            message = f"'{self.public_url}' is no address {such}"
            raise SettingsError(f"{PREFIX}PUBLIC_URL: {message}")
        if self.former_secret_keys and not self.secret_key:
            message = (
                f"it is for former values of {PREFIX}SECRET_KEY, which is not set; secret.key keeps its former keys itself"
            )
            raise SettingsError(f"{PREFIX}FORMER_SECRET_KEYS: {message}")
        self._check_domains()

    def _check_domains(self) -> None:
        for name, such in (("mail_name", "mail"), ("bounce_domain", "bounces")):
            value = getattr(self, name)
            if value and not is_domain(value):
                raise SettingsError(f"{PREFIX}{name.upper()}: '{value}' is no domain such as {such}.example.com")

    @property
    def own_address(self) -> str:
        """The address that this machine's callers reach the server by, such as "http://[::1]:8080"."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def outside_address(self) -> str:
        """The address that mails and browsers outside reach the server by, without a slash at its end."""
        return self.public_url.rstrip("/") or self.own_address

    def check_folders(self) -> None:
        """Raise `SettingsError` for folders that are not there; not with the others, for only servers need them."""
        if self.transfers_folder is not None and not self.transfers_folder.is_dir():
            message = f"there is no folder {self.transfers_folder} that this user can enter; make it, or mount its disk"
            raise SettingsError(f"{PREFIX}TRANSFERS_FOLDER: {message}")

    def environment(self) -> dict[str, str]:
        """The variables that make the same settings, for child processes."""
        return {PREFIX + name.upper(): _text(getattr(self, name)) for name in self.__struct_fields__}

    def described(self) -> list[Setting]:
        """All settings with help, unit, default and value; passwords are masked."""
        plain = Settings()
        return [
            Setting(PREFIX + name.upper(), text, unit, _shown(getattr(plain, name)), self._value(name))
            for name, (text, unit) in HELP.items()
        ]

    def _value(self, name: str) -> Any:
        value = getattr(self, name)
        return "***" if name.startswith(("secret_key", "former_secret")) and value else _shown(value)


def _is_address(text: str) -> bool:
    """Whether links can begin with it, those in headers of mails too."""
    try:
        parts = urlsplit(text)
        whole = text.isascii() and text.isprintable() and not set(text) & set("?#@ \"'<>\\")
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and whole
    except ValueError:
        return False


def _wrong_with(url: str) -> str:
    """Why the database's client would not take the URL as it is meant; no piece of it, which may be of a password."""
    import psycopg  # noqa: PLC0415 - a large library, which the embedded database's verbs may do without
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 - as above

    if not url.startswith(("postgresql://", "postgres://")):
        return "a URL such as postgresql://user@host/database is expected"
    # A password that is not written so ends the part before the host too early.
    place, _, query = url.partition("://")[2].partition("?")
    authority = place.partition("/")[0]
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error as error:
        given = None
        unknown = re.search(r'invalid URI query parameter: "(\w+)"', str(error))
        if unknown is not None and "@" not in query:
            known = (option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults())
            return f"there is no parameter '{unknown[1]}'{meant(unknown[1], known)}"
    if given is None or not authority.count("@") == place.count("@") <= 1:
        return "it cannot be read; in its names and its password % is written as %25, @ as %40 and / as %2F"
    return ""


def _is_ip_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _proxy(text: str) -> str:
    """As the system writes the address of a caller."""
    return str(ipaddress.ip_address(text)) if _is_ip_address(text) else text


_LEVELS = ("debug", "info", "warning", "error")
HELP: dict[str, tuple[str, str]] = {
    "data_dir": ("where the server keeps its data; the embedded database lives in it", "directory"),
    "database_url": ("an own PostgreSQL (16 or later) instead of the embedded one", "URL"),
    "host": ("address to listen on; 0.0.0.0 is every address of the machine", "address"),
    "port": ("port to listen on", "port"),
    "workers": ("API processes", "processes"),
    "job_workers": ("processes that send mails, deliver webhooks and run jobs", "processes"),
    "connections": ("database connections of each API process, beside the gate's one", "connections"),
    "max_body_bytes": ("largest body of a call that is no upload", "bytes"),
    "trusted_proxies": ("addresses of proxies whose X-Forwarded-For is believed, separated by commas", "addresses"),
    "log_level": ("least severe messages that are logged: debug, info, warning, error", "level"),
    "audit_retention_days": ("how long the audit trail is kept", "days"),
    "webhooks_allow_http": ("webhooks may have targets that begin with http://", "true or false"),
    "webhooks_allow_private": (
        "webhooks may have targets in the server's own network, and the server itself",
        "true or false",
    ),
    "public_url": ("address that mails and browsers outside reach the server by; empty: http:// with host and port", "URL"),
    "transfers_allow_http": ("stores of files (S3) may be spoken to over http", "true or false"),
    "transfers_allow_private": (
        "servers of files may be in the server's own network, and on the server itself",
        "true or false",
    ),
    "transfers_folder": ("folder of this machine whose folders, one per licence, file transfers may use", "directory"),
    "secret_key": ("what passwords of other systems are sealed with; empty: a key made in the data directory", "text"),
    "former_secret_keys": (
        "values that secret_key had before, the latest first, separated by commas: they open what they have sealed",
        "texts",
    ),
    "mail_name": (
        "name by which this machine greets relays (EHLO); empty: its full name, or else its address",
        "domain",
    ),
    "bounce_domain": (
        "domain that mails come back to, such as bounces.example.com; empty: the senders' addresses",
        "domain",
    ),
    "dns_servers": (
        "name servers for the checklist of campaigns, such as 127.0.0.1:5353, separated by commas; empty: the system's",
        "addresses",
    ),
    "intake_host": ("address to listen on for bounces and complaints (SMTP)", "address"),
    "intake_port": ("port to listen on for bounces and complaints (SMTP); 0: none are taken", "port"),
    "refusals_in_a_row": (
        "after so many mails that a relay refuses in a row for their sender or content, a campaign waits; 0: never",
        "mails",
    ),
    "soft_bounces": ("after this many soft bounces an address gets no more mails", "bounces"),
    "soft_bounce_days": ("within how many days they have to come", "days"),
    "mail_personal_days": (
        "how long what is personal in mails, their events and the outbox is kept; 0: for ever",
        "days",
    ),
}
# In `//user:password@host`; an unescaped @ belongs to the password, as the driver reads it.
_PASSWORD_OF_USER = re.compile(r"(://[^/:@?]*:)[^/?]*@")
_PASSWORD_PARAMETER = re.compile(r"([?&](?:ssl)?password=)[^&]*", re.IGNORECASE)
_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_SWITCHES = frozenset({"webhooks_allow_http", "webhooks_allow_private", "transfers_allow_http", "transfers_allow_private"})
_FOLDERS = frozenset({"data_dir", "transfers_folder"})
_LISTS = frozenset({"trusted_proxies", "dns_servers", "former_secret_keys"})
_NUMBERS = frozenset({
    "port", "workers", "job_workers", "connections", "max_body_bytes", "audit_retention_days", "intake_port",
    "refusals_in_a_row", "soft_bounces", "soft_bounce_days",
    "mail_personal_days",
})  # fmt: skip


def unknown_variables(environment: Mapping[str, str] = os.environ) -> list[str]:
    """`TABELLION_*` variables that no setting reads: mistyped, most likely."""
    known = {PREFIX + name.upper() for name in Settings.__struct_fields__}
    return sorted(name for name in environment if name.startswith(PREFIX) and name not in known)


def _parse(field: str, text: str) -> Any:
    if field in _NUMBERS:
        try:
            return int(text)
        except ValueError:
            raise SettingsError(f"{PREFIX}{field.upper()}: '{text}' is not a whole number") from None
    if field in _SWITCHES:
        if text.lower() not in _FLAGS:
            raise SettingsError(f"{PREFIX}{field.upper()}: '{text}' is neither true nor false")
        return _FLAGS[text.lower()]
    if field in _FOLDERS:
        return Path(text)
    if field in _LISTS:
        parts = (part.strip() for part in text.split(",") if part.strip())
        return tuple(map(_proxy, parts) if field == "trusted_proxies" else parts)
    if field in {"bounce_domain", "mail_name"}:
        return in_ascii(text) or text
    return text.lower() if field == "log_level" else text


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(value) if isinstance(value, tuple) else str(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - texts


def _shown(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = _PASSWORD_OF_USER.sub(r"\1***@", _text(value))
    return _PASSWORD_PARAMETER.sub(r"\1***", text)
