"""`pacing`: how many mails profiles and domains get, and senders send."""

from typing import Annotated, Any

import typer

from tabellion.cli.common import AsJson, DatabaseUrl, DataDir, Entity, Name, fail, on_database, show
from tabellion.features.delivery import Contact, DomainLimit, HeldDomain, Limits, pacing_admin
from tabellion.kit.clock import utc_now
from tabellion.kit.counted import counted
from tabellion.platform.database.connection import Database

pacing = typer.Typer(no_args_is_help=True, help="Pacing: how many mails profiles and domains get, and senders send.")
_Shown = tuple[Limits, list[HeldDomain], dict[int, str]]


@pacing.command("show")
def show_limits(name: Name, data_dir: DataDir = None, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Show the limits of a licence, and the domains that get nothing at the moment."""
    _show(on_database(data_dir, database_url, lambda db: pacing_admin.show(db, name, utc_now())), as_json=as_json)


@pacing.command("contact")
def limit_contact(
    name: Name,
    mails: Annotated[int | None, typer.Option(help="At most so many mails to a profile ...")] = None,
    days: Annotated[int | None, typer.Option(help="... in so many days, today included.")] = None,
    off: Annotated[bool, typer.Option("--off", help="No limit any more.")] = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Limit how many mass and continuous mails a profile gets."""
    if off == (mails is not None or days is not None) or (mails is None) != (days is None):
        fail("give --mails and --days, or --off")
    contact = None if mails is None or days is None else Contact(mails, days)

    async def work(db: Database) -> _Shown:
        await pacing_admin.set_contact(db, name, contact, utc_now())
        return await pacing_admin.show(db, name, utc_now())

    _show(on_database(data_dir, database_url, work), as_json=as_json)


@pacing.command("domain")
def limit_domain(
    name: Name,
    domain: Annotated[str, typer.Argument(help="A domain of recipients; * is every one that has no limit of its own.")],
    per_minute: Annotated[int | None, typer.Option(help="Mails a minute; none: no limit.")] = None,
    connections: Annotated[int | None, typer.Option(help="Mails on their way at a time; none: no limit.")] = None,
    off: Annotated[bool, typer.Option("--off", help="Forget what was said of the domain.")] = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Limit what a domain gets. Without options, the limit of * does not count for it."""
    if off and (per_minute is not None or connections is not None):
        fail("give limits, or --off")
    limit = DomainLimit(domain, per_minute, connections)

    async def work(db: Database) -> _Shown:
        await pacing_admin.set_domain(db, name, limit, utc_now(), remove=off)
        return await pacing_admin.show(db, name, utc_now())

    _show(on_database(data_dir, database_url, work), as_json=as_json)


@pacing.command("sender")
def limit_sender(
    name: Name,
    entity: Entity,
    per_hour: Annotated[int | None, typer.Option(help="Mails an hour; none: no limit.")] = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Limit what an entity sends, all its campaigns together."""

    async def work(db: Database) -> _Shown:
        await pacing_admin.set_sender(db, name, entity, per_hour, utc_now())
        return await pacing_admin.show(db, name, utc_now())

    _show(on_database(data_dir, database_url, work), as_json=as_json)


def _show(found: _Shown, *, as_json: bool) -> None:
    limits, held, names = found
    document: dict[str, Any] = {
        "contactPressure": None if limits.contact is None else {"mails": limits.contact.mails, "days": limits.contact.days},
        "domains": [
            {"domain": each.domain, "mailsPerMinute": each.per_minute, "connections": each.connections}
            for each in limits.domains
        ],
        "senders": [
            {"entity": names.get(each.entity_id, str(each.entity_id)), "mailsPerHour": each.per_hour}
            for each in limits.senders
        ],
        "heldDomains": [{"domain": each.domain, "until": each.until.isoformat(), "reply": each.reply} for each in held],
    }
    if as_json:
        show(document, as_json=True)
        return
    rows = [{"limit": "contact pressure", "of": "each profile", "value": _contact(limits.contact)}]
    for limit in limits.domains:
        said = [f"{limit.per_minute} a minute"] if limit.per_minute else []
        said += [f"{limit.connections} at a time"] if limit.connections else []
        rows.append({"limit": "domain", "of": limit.domain, "value": ", ".join(said) or "no limit"})
    for limit in limits.senders:
        entity = names.get(limit.entity_id, str(limit.entity_id))
        rows.append({"limit": "sender", "of": entity, "value": f"{limit.per_hour} an hour"})
    rows += [
        {"limit": "held", "of": each.domain, "value": f"until {each.until.isoformat(timespec='seconds')}: {each.reply}"}
        for each in held
    ]
    show(rows, as_json=False, title="pacing")


def _contact(contact: Contact | None) -> str:
    return "no limit" if contact is None else f"{counted(contact.mails, 'mail')} in {counted(contact.days, 'day')}"
