"""From names to the SQL that renders values as texts, in the words of the API: the database does the writing."""

from typing import NamedTuple

import msgspec
from psycopg import sql

from tabellion.features.tables import Attribute, Segmentation, Subscription, Table
from tabellion.kit.formulas import BEGINNINGS
from tabellion.kit.names import ByName
from tabellion.kit.near import MOST_LOOKED_FOR, meant
from tabellion.kit.problem import FieldError

_MAX_CHOSEN = 2000
_MOMENT = 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'


class Column(NamedTuple):
    """A value of each row: its header in CSV, its place in a JSON document (group and name), and its SQL.

    `text` is a query's expression of type text; `json` one of type text that holds JSON.
    """

    header: str
    group: str
    name: str
    text: sql.Composable
    json: sql.Composable


class Chosen(NamedTuple):
    """The columns of an export, in order."""

    columns: tuple[Column, ...]

    def csv(self, *, protect_formulas: bool) -> sql.Composable:
        """What is selected for CSV."""
        texts = [column.text for column in self.columns]
        if protect_formulas:
            guard = sql.SQL("CASE WHEN left({0}, 1) = ANY ({1}) THEN '''' || {0} ELSE {0} END")
            texts = [guard.format(text, sql.Literal(list(BEGINNINGS))) for text in texts]
        return sql.SQL(", ").join(texts)

    def json(self) -> sql.Composable:
        """One expression: the row as a JSON document of the v5 shape."""
        groups: dict[str, list[Column]] = {}
        for column in self.columns:
            groups.setdefault(column.group, []).append(column)
        members = [_member(column) for column in groups.pop("", [])]
        for group, columns in groups.items():
            inner = sql.SQL(" || ',' || ").join(map(_member, columns))
            members.append(sql.SQL("{} || {} || '}}'").format(sql.Literal(_key(group) + "{"), inner))
        return sql.SQL("'{{' || {} || '}}'").format(sql.SQL(" || ',' || ").join(members))


def choose(table: Table, names: list[str] | None) -> tuple[Chosen, list[FieldError]]:
    """The columns by their names, all where none are named; and what is wrong with the names."""
    known = _columns(table)
    if names is None:
        return Chosen(tuple(known.values())), []
    faults: list[FieldError] = []
    chosen: dict[str, Column] = {}
    if not 1 <= len(names) <= _MAX_CHOSEN:
        code = "structure.tooMany" if names else "member.mandatory"
        faults.append(FieldError("attributes", code, f"1 to {_MAX_CHOSEN} attributes can be chosen; null: all"))
    for number, name in enumerate(names[:_MAX_CHOSEN]):
        column = known.get(
            name.lower().replace("subscriptions#", "subscriptions.").replace("segmentations#", "segmentations.")
        )
        place = f"attributes[{number}]"
        if column is None:
            said = f"the table has no '{name[:100]}'"
            if len(faults) < MOST_LOOKED_FOR:
                said += meant(name, [each.header for each in known.values()])
            faults.append(FieldError(place, "attribute.unknown", said))
        elif column.header in chosen:
            faults.append(FieldError(place, "attribute.duplicate", f"'{column.header}' stands here twice"))
        else:
            chosen[column.header] = column
    return Chosen(tuple(chosen.values())), faults


def _columns(table: Table) -> ByName[Column]:
    """Everything that can be chosen, by name, in the order of the documents."""
    id_name = table.kind.id_name
    found = [
        Column(id_name, "", id_name, sql.SQL("t.id::text"), sql.SQL("t.id::text")),
        *map(_of_attribute, table.attributes),
        *map(_of_subscription, table.subscriptions),
        *map(_of_segmentation, table.segmentations),
        _technical("creationMoment", "t.created_at"),
        _technical("updateMoment", "t.updated_at"),
    ]
    return ByName((f"{c.group}.{c.name}" if c.group in {"subscriptions", "segmentations"} else c.name, c) for c in found)


def _technical(name: str, column: str) -> Column:
    text = _moment(sql.SQL(column))  # pyright: ignore[reportArgumentType] - a name of our own
    return Column(name, "", name, text, _quoted(text))


def _of_attribute(attribute: Attribute) -> Column:
    column = sql.SQL("t.{}").format(sql.Identifier(attribute.column))
    kind = attribute.value_type
    if attribute.multi_valued:
        item = _text(sql.SQL("v.item"), kind)
        listed = sql.SQL("FROM unnest({}) WITH ORDINALITY v (item, place)").format(column)
        text = sql.SQL("(SELECT string_agg({}, '|' ORDER BY v.place) {})").format(item, listed)
        items = sql.SQL("(SELECT string_agg({}, ',' ORDER BY v.place) {})").format(_json(sql.SQL("v.item"), kind), listed)
        json = sql.SQL("'[' || coalesce({}, '') || ']'").format(items)
    else:
        text, json = _text(column, kind), sql.SQL("coalesce({}, 'null')").format(_json(column, kind))
    return Column(attribute.name, "attributes", attribute.name, text, json)


def _of_subscription(subscription: Subscription) -> Column:
    text = _flag(sql.SQL("t.{}").format(sql.Identifier(subscription.column)))
    json = sql.SQL("coalesce({}, 'null')").format(text)
    return Column(f"subscriptions#{subscription.name}", "subscriptions", subscription.name, text, json)


def _of_segmentation(segmentation: Segmentation) -> Column:
    column = sql.SQL("t.{}").format(sql.Identifier(segmentation.column))
    if segmentation.type == "SIMPLE":
        text = json = sql.SQL("CASE WHEN {} THEN 'true' ELSE 'false' END").format(column)
    else:
        names = [
            sql.SQL("WHEN {} THEN {}").format(sql.Literal(c.number), sql.Literal(c.name)) for c in segmentation.categories
        ]
        text = sql.SQL("CASE {} {} END").format(column, sql.SQL(" ").join(names))
        json = sql.SQL("coalesce({}, 'null')").format(_quoted(text))
    return Column(f"segmentations#{segmentation.name}", "segmentations", segmentation.name, text, json)


def _text(column: sql.Composable, value_type: str) -> sql.Composable:
    match value_type:
        case "BOOLEAN":
            return _flag(column)
        case "NUMBER":
            return sql.SQL("trim_scale({})::text").format(column)
        case "TIMESTAMP":
            return _moment(column)
        case _:
            return sql.SQL("{}::text").format(column)


def _json(column: sql.Composable, value_type: str) -> sql.Composable:
    text = _text(column, value_type)
    return text if value_type in {"BOOLEAN", "NUMBER", "INTEGER", "LONG"} else _quoted(text)


def _flag(column: sql.Composable) -> sql.Composable:
    return sql.SQL("CASE {} WHEN true THEN 'true' WHEN false THEN 'false' END").format(column)


def _moment(column: sql.Composable) -> sql.Composable:
    return sql.SQL("to_char({} AT TIME ZONE 'UTC', {})").format(column, sql.Literal(_MOMENT))


def _quoted(text: sql.Composable) -> sql.Composable:
    return sql.SQL("to_json({}::text)::text").format(text)


def _key(name: str) -> str:
    return msgspec.json.encode(name).decode() + ":"


def _member(column: Column) -> sql.Composable:
    return sql.SQL("{} || {}").format(sql.Literal(_key(column.name)), column.json)
