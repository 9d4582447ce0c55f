"""`sender`, `suppression`, `tracking`: who mails come from, who gets none, who read them."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tabellion.cli.common import AsJson, DatabaseUrl, DataDir, Entity, Name, clear_errors, fail, on_database, show
from tabellion.cli.output import Force, check_place, written
from tabellion.features import tracking as readers
from tabellion.features.bounces import admin
from tabellion.features.delivery import sender_admin
from tabellion.features.delivery.sender_admin import SenderChange
from tabellion.kit.clock import utc_now
from tabellion.platform.database.connection import Database

sender = typer.Typer(no_args_is_help=True, help="Senders: who the mails of an entity come from, and their signature.")
suppression = typer.Typer(no_args_is_help=True, help="Addresses that get no mails: bounced, complained, unsubscribed.")
tracking = typer.Typer(no_args_is_help=True, help="What readers of mails did, told from what machines did.")

_LIST = "list of addresses"
OneCampaign = Annotated[int | None, typer.Option(help="Of this campaign only: its id.")]


@sender.command("set")
def set_sender(
    name: Name,
    entity: Entity,
    address: Annotated[str, typer.Argument(help="Address that mails come from.")],
    shown: Annotated[str | None, typer.Option("--name", help="Name before it.")] = None,
    dkim_selector: Annotated[
        str | None,
        typer.Option(help="Sign mails: the name of the key in DNS, such as s1. One that was used before keeps its key."),
    ] = None,
    dkim_key: Annotated[str | None, typer.Option(help="Kind of a new key: rsa (default) or ed25519.")] = None,
    no_dkim: Annotated[
        bool, typer.Option("--no-dkim", help="Sign no mails any more; the key is kept for its selector.")
    ] = False,
    reply_to: Annotated[
        str | None, typer.Option(help="Address that answers go to, where a campaign names none; none: the sender's.")
    ] = None,
    no_reply_to: Annotated[bool, typer.Option("--no-reply-to", help="Have answers go to the sender again.")] = False,
    bounce_domain: Annotated[
        str | None, typer.Option(help="Domain that mails come back to, such as bounces.example.com; none: the server's.")
    ] = None,
    no_bounce_domain: Annotated[bool, typer.Option("--no-bounce-domain", help="Take the server's again.")] = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Say who sends for an entity, and print the DNS record that its signatures need. What is not named stays.

    Running campaigns sign and come back by it within seconds; the name and addresses of theirs are those of their launch.
    """
    for option, given, none in (
        ("--dkim-selector", dkim_selector, no_dkim),
        ("--reply-to", reply_to, no_reply_to),
        ("--bounce-domain", bounce_domain, no_bounce_domain),
    ):
        flag = option.removesuffix("-selector").replace("--", "--no-", 1)
        if given == "":
            fail(f"{option} is empty; name one, or say {flag} to have none")
        if given is not None and none:
            fail(f"{option} and {flag} do not go together")
    change = SenderChange(
        name=shown, selector="" if no_dkim else dkim_selector, kind=dkim_key, reply_to="" if no_reply_to else reply_to,
        bounce_domain="" if no_bounce_domain else bounce_domain,
    )  # fmt: skip
    now = utc_now()
    found = on_database(data_dir, database_url, lambda db: sender_admin.set_sender(db, name, entity, address, change, now))
    show(_sender(found) | {"newKey": found.new_key}, as_json=as_json)


@sender.command("show")
def show_sender(
    name: Name, entity: Entity, data_dir: DataDir = None, database_url: DatabaseUrl = None, as_json: AsJson = False
) -> None:
    """Show who sends for an entity."""
    show(
        _sender(on_database(data_dir, database_url, lambda db: sender_admin.show_sender(db, name, entity))), as_json=as_json
    )


@suppression.command("list")
def list_suppressed(name: Name, data_dir: DataDir = None, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """List the addresses that get no mails, the latest first."""
    found = on_database(data_dir, database_url, lambda db: admin.list_suppressed(db, name))
    rows = [
        {
            "address": each.address, "reason": each.reason, "since": each.since.isoformat(),
            "unsubscribed": "" if each.unsubscribed is None else each.unsubscribed.isoformat(),
        }
        for each in found
    ]  # fmt: skip
    show(rows, as_json=as_json, title="suppression")


@suppression.command("add")
def suppress(
    name: Name,
    addresses: Annotated[list[str], typer.Argument(metavar="ADDRESS...", help="Addresses; - reads standard input.")],
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Have addresses get no mails any more."""
    with clear_errors():
        wanted = [line.strip() for line in sys.stdin if line.strip()] if addresses == ["-"] else addresses
    count = on_database(data_dir, database_url, lambda db: admin.suppress(db, name, wanted, utc_now()))
    show({"suppressed": count}, as_json=as_json)


@suppression.command("import")
def import_suppressed(
    name: Name,
    file: Annotated[
        Path, typer.Argument(help="CSV (address, reason, since, detail, unsubscribed) or JSON; - is standard input.")
    ],
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Have all addresses of a file get no mails any more, or none of them when something is wrong."""
    with clear_errors():
        raw = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    added, known = on_database(data_dir, database_url, lambda db: admin.import_list(db, name, raw, utc_now()))
    show({"added": added, "known": known}, as_json=as_json)


@suppression.command("export")
def export_suppressed(
    name: Name,
    file: Annotated[Path, typer.Argument(help="Where to write CSV; - is standard output.")] = Path("-"),
    force: Force = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Write the addresses that get no mails as CSV."""

    async def write(db: Database) -> None:
        pieces = admin.export_list(db, name)
        first = await anext(pieces)
        with written(file, force=force, what=_LIST) as out:
            out.write(first)
            async for piece in pieces:
                out.write(piece)

    with clear_errors():
        check_place(file, force=force, what=_LIST)
    on_database(data_dir, database_url, write)


@suppression.command("remove")
def unsuppress(
    name: Name,
    address: Annotated[str, typer.Argument(help="The address.")],
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Let an address get mails again. Where its owner unsubscribed as well, that stays, until it is removed in turn."""
    unsubscribed = on_database(data_dir, database_url, lambda db: admin.unsuppress(db, name, address, utc_now()))
    show({"removed": address, "unsubscribed": unsubscribed}, as_json=as_json)


def _sender(found: sender_admin.SenderRow) -> dict[str, str | bool]:
    shown: dict[str, str | bool] = {
        "entity": found.entity,
        "name": found.name,
        "address": found.address,
        "replyTo": found.reply_to,
        "bounceDomain": found.bounce_domain,
    }
    return shown | {"dnsName": found.record_name, "dnsTxt": found.record}


@tracking.command("judge")
def judge(
    name: Name,
    campaign: OneCampaign = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Judge again who was behind opens and clicks, by the rules and lists of this version; reports change with it."""
    found = on_database(data_dir, database_url, lambda db: readers.admin.judge_again(db, name, campaign))
    show(found._asdict(), as_json=as_json)


@tracking.command("recount")
def recount(
    name: Name,
    campaign: OneCampaign = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Have what reports add up counted anew from the mails, by a worker; its log tells where something was wrong."""
    count = on_database(data_dir, database_url, lambda db: readers.admin.ask_recount(db, name, campaign))
    show({"campaigns": count}, as_json=as_json)
