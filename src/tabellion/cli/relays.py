"""`relay`: where the mails of a licence leave, and what becomes of them when it has no relay any more."""

from typing import Annotated, Any

import typer

from tabellion.cli.common import AsJson, DatabaseUrl, DataDir, Name, console, on_database, password_of_stdin, show
from tabellion.features.delivery import relay_admin
from tabellion.features.delivery.relay_admin import Mails, RelayChange
from tabellion.kit.clock import utc_now

relay = typer.Typer(
    no_args_is_help=True,
    help="Relays: the mail servers that take a licence's mails. Mails of a licence that never had one stay in the outbox; "
    "of one that has had a relay, they wait for another.",
)
_SAID = {
    Mails.LEAVE: "mails leave by these relays",
    Mails.WAIT: "mails wait, for there is no relay any more: relay add names one, relay outbox keeps them in the outbox",
    Mails.OUTBOX: "mails stay in the outbox, and reach nobody",
}


@relay.command("add")
def add_relay(
    name: Name,
    host: Annotated[str, typer.Argument(help="Name or address of the mail server.")],
    port: Annotated[int | None, typer.Option(help="Its port (587, or that of the relay of this host).")] = None,
    security: Annotated[str | None, typer.Option(help="STARTTLS (default), TLS or NONE.")] = None,
    login: Annotated[str | None, typer.Option(help="Who to log in as; '' for nobody any more.")] = None,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")] = False,
    weight: Annotated[int | None, typer.Option(help="Its share of the mails, beside the other relays' (1).")] = None,
    connections: Annotated[int | None, typer.Option(help="Connections at a time, of each worker process (10).")] = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Give a licence a relay, or change the one of the same host and port; what is not named of that one stays.

    Running servers and campaigns see it within seconds.
    """
    password = password_of_stdin() if password_stdin else None
    change = RelayChange(
        port=port, security=None if security is None else security.upper(), login=login, password=password, weight=weight,
        connections=connections,
    )  # fmt: skip
    made, new = on_database(data_dir, database_url, lambda db: relay_admin.add_relay(db, name, host, change, utc_now()))
    show({"done": "added" if new else "changed", **made._asdict()}, as_json=as_json)


@relay.command("list")
def list_relays(name: Name, data_dir: DataDir = None, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """List the relays of a licence, and say what becomes of its mails."""
    found = on_database(data_dir, database_url, lambda db: relay_admin.list_relays(db, name))
    rows: list[dict[str, Any]] = [each._asdict() for each in found.relays]
    if as_json:
        show({"mails": found.mails.value, "relays": rows}, as_json=True)
        return
    show(rows, as_json=False, title="relays")
    console().print(_SAID[found.mails], soft_wrap=True)


@relay.command("remove")
def remove_relay(
    name: Name,
    which: Annotated[str, typer.Argument(metavar="ID", help="Id of the relay, or its host where that has one alone.")],
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Take a relay away; with the last one, mails wait until there is another one (relay add), or for relay outbox.

    Running campaigns see it within seconds: a mail that the relay has been asked about may still end there.
    """
    number, mails = on_database(data_dir, database_url, lambda db: relay_admin.remove_relay(db, name, which, utc_now()))
    show({"removed": number, "mails": mails.value if as_json else _SAID[mails]}, as_json=as_json)


@relay.command("outbox")
def use_outbox(name: Name, data_dir: DataDir = None, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Keep the mails of a licence without a relay in the outbox, also those that wait.

    They reach nobody, and count as sent.
    """
    on_database(data_dir, database_url, lambda db: relay_admin.use_outbox(db, name, utc_now()))
    show({"mails": Mails.OUTBOX.value if as_json else _SAID[Mails.OUTBOX]}, as_json=as_json)
