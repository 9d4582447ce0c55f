"""The SQL of what reports add up: facts by part and key, of everybody or of what was noted since sums were made of it.

A mail counts once it has been accepted or refused, which nothing changes any more; and with it the events that it has. A
change is the difference between what its mails are now and what they were: events that were noted as new are taken away,
and those that were changed are put back. So the same statement reads the last changes and adds them to the sums.
"""
# ruff: noqa: S608 - words of our own

from tabellion.features.delivery.model import SOFT_REASONS

FIGURES = ("mails", "soft", "hard", "opens", "unique_opens", "clicks", "unique_clicks", "unsubscribes", "complaints")
_SOFT = "coalesce(r.reason IN ('{}'), false)".format("', '".join(SOFT_REASONS))
# Moments are put together by quarters of an hour, which all time zones have in common.
_QUARTER = "date_bin('15 minutes', {0}, 'epoch'::timestamptz)"
# Of what a mail system said.
STATUS = "substring({0} FROM '[245]\\.[0-9]{{1,3}}\\.[0-9]{{1,3}}')"
_COUNTED = "actor IS DISTINCT FROM 'scanner'"
# Of which reason is told; the key of a sum has an end.
_WHY = "left(reason, 500)"

_MAIL = f"""
mail AS MATERIALIZED (
    SELECT r.id, r.language, r.variant,
        coalesce(nullif(lower(split_part(r.address, '@', 2) COLLATE "C"), ''), '-') AS domain,
        r.state = 'REJECTED' AS refused, {_SOFT} AS soft, {_QUARTER.format("r.ended_at")} AS ended,
        CASE WHEN r.state = 'REJECTED' THEN r.reply END AS reply, {{fresh}} AS fresh
    FROM {{l}}.recipient r WHERE {{whose}} AND r.state IN ('ACCEPTED', 'REJECTED') AND NOT r.test
)"""
# Recipients `r` that a report is about.
MINE = """r.campaign_id = %(campaign)s AND NOT r.test
  AND (%(from)s::timestamptz IS NULL OR r.planned_at >= %(from)s)
  AND (%(to)s::timestamptz IS NULL OR r.planned_at < %(to)s)"""
_EVENT = "e.recipient_id, e.type, e.moment, e.actor, e.link, e.url, e.device, e.detail"
# With what is told of its mail, so that nothing of many events has to be looked up again.
_OF_MAIL = "m.language, m.domain, m.variant, m.refused"
# Everybody, counted one by one.
EVERYBODY = f"""
state AS (
    SELECT r.state, r.reason, r.variant, count(*) AS number FROM {{l}}.recipient r WHERE {MINE} GROUP BY 1, 2, 3
), told (state, reason, number) AS (
    SELECT 'TARGETED', NULL, sum(number) FROM state
    UNION ALL SELECT state, {_WHY}, sum(number) FROM state WHERE state IN ('EXCLUDED', 'FAILED') GROUP BY 1, 2
    UNION ALL SELECT 'VARIANT', variant::text, sum(number) FROM state WHERE variant IS NOT NULL GROUP BY 2
), {_MAIL.replace("{whose}", MINE).replace("{fresh}", "true")}, event AS MATERIALIZED (
    SELECT 1 AS sign, {_OF_MAIL}, {_EVENT} FROM {{l}}.mail_event e JOIN mail m ON m.id = e.recipient_id
    WHERE e.campaign_id = %(campaign)s
)"""
# What was noted since the sums were made: `change` are rows of `report_change`.
_CHANGES = f"""
change AS MATERIALIZED ({{change}}), told AS (
    SELECT state, {_WHY} AS reason, sum(number) AS number FROM change WHERE state IS NOT NULL GROUP BY 1, 2
), fresh AS (
    SELECT unnest(sent) AS id FROM change WHERE sent IS NOT NULL
), touched AS MATERIALIZED (
    -- Of several changes of an event the first one tells what it was in the sums.
    SELECT DISTINCT ON (event_id) event_id, recipient_id, was FROM change WHERE event_id IS NOT NULL ORDER BY event_id, id
), {
    _MAIL.replace("{whose}", "r.id = ANY (ARRAY(SELECT id FROM fresh UNION SELECT recipient_id FROM touched))").replace(
        "{fresh}", "r.id IN (SELECT id FROM fresh)"
    )
}, happened AS MATERIALIZED (
    SELECT e.id, {_EVENT} FROM {{l}}.mail_event e WHERE e.recipient_id = ANY (ARRAY(SELECT id FROM mail))
), event AS MATERIALIZED (
    SELECT 1 AS sign, {_OF_MAIL}, {_EVENT} FROM happened e JOIN mail m ON m.id = e.recipient_id
    UNION ALL
    SELECT -1, {_OF_MAIL}, e.recipient_id, CASE WHEN t.was IS NULL THEN e.type ELSE t.was ->> 'type' END,
        CASE WHEN t.was IS NULL THEN e.moment ELSE (t.was ->> 'moment')::timestamptz END,
        CASE WHEN t.was IS NULL THEN e.actor ELSE t.was ->> 'actor' END, e.link, e.url, e.device,
        CASE WHEN t.was IS NULL THEN e.detail ELSE t.was ->> 'detail' END
    FROM happened e JOIN mail m ON m.id = e.recipient_id LEFT JOIN touched t ON t.event_id = e.id
    WHERE NOT m.fresh AND (t.event_id IS NULL OR t.was IS NOT NULL)
)"""
_OF_CAMPAIGN = "{l}.report_change WHERE campaign_id = %(campaign)s"
CHANGES = _CHANGES.replace("{change}", f"SELECT * FROM {_OF_CAMPAIGN}")
# The same, and they are gone with it.
CHANGES_TAKEN = _CHANGES.replace("{change}", f"DELETE FROM {_OF_CAMPAIGN} RETURNING *")

_DOINGS = """
    SELECT '{by}', ARRAY[coalesce({by}, 'unknown')], NULL, 0, 0, 0, sum(sign * opens), sum(sign) FILTER (WHERE opens > 0),
        sum(sign * clicks), sum(sign) FILTER (WHERE clicks > 0), 0, 0
    FROM (
        SELECT sign, recipient_id, {by}, count(*) FILTER (WHERE type = 'OPEN') AS opens,
            count(*) FILTER (WHERE type = 'CLICK') AS clicks
        FROM event WHERE type IN ('OPEN', 'CLICK'){whom} GROUP BY 1, 2, 3
    ) d GROUP BY 2"""
_FIRST = """
        UNION ALL SELECT {quarter}, 0, {soft}, {hard}, 0, {opens}, 0, {clicks}, {unsubscribes}, {complaints}
        FROM did WHERE {at} IS NOT NULL GROUP BY 1"""


def _first(at: str, **counted: str) -> str:
    values = dict.fromkeys(("soft", "hard", "opens", "clicks", "unsubscribes", "complaints"), "0") | counted
    return _FIRST.format(quarter=_QUARTER.format(at), at=at, **values)


# After one of the sources: what each part of a report adds up.
FACTS = f"""
did AS MATERIALIZED (
    SELECT d.*, any_hard AND NOT refused AS hard, any_soft AND NOT any_hard AND NOT refused AS soft
    FROM (
        SELECT sign, recipient_id, language, domain, variant, refused,
            count(*) FILTER (WHERE type = 'OPEN') AS opens, count(*) FILTER (WHERE type = 'CLICK') AS clicks,
            bool_or(type = 'HARD_BOUNCE') AS any_hard, bool_or(type = 'SOFT_BOUNCE') AS any_soft,
            min(moment) FILTER (WHERE type = 'OPEN') AS opened_at, min(moment) FILTER (WHERE type = 'CLICK') AS clicked_at,
            min(moment) FILTER (WHERE type IN ('HARD_BOUNCE', 'SOFT_BOUNCE')) AS bounced_at,
            min(moment) FILTER (WHERE type = 'UNSUBSCRIBE') AS left_at,
            min(moment) FILTER (WHERE type = 'COMPLAINT') AS complained_at
        FROM event WHERE {_COUNTED} GROUP BY 1, 2, 3, 4, 5, 6
    ) d
), counted (language, domain, variant, {", ".join(FIGURES)}) AS (
    SELECT language, domain, variant, count(*), count(*) FILTER (WHERE refused AND soft),
        count(*) FILTER (WHERE refused AND NOT soft), 0, 0, 0, 0, 0, 0
    FROM mail WHERE fresh GROUP BY 1, 2, 3
    UNION ALL
    SELECT language, domain, variant, 0, sum(sign) FILTER (WHERE soft), sum(sign) FILTER (WHERE hard), sum(sign * opens),
        sum(sign) FILTER (WHERE opens > 0), sum(sign * clicks), sum(sign) FILTER (WHERE clicks > 0),
        sum(sign) FILTER (WHERE left_at IS NOT NULL), sum(sign) FILTER (WHERE complained_at IS NOT NULL)
    FROM did GROUP BY 1, 2, 3
), fact (part, key, label, {", ".join(FIGURES)}) AS (
    SELECT 'state', ARRAY[state, coalesce(reason, '')], NULL, number, 0, 0, 0, 0, 0, 0, 0, 0 FROM told
    UNION ALL
    SELECT CASE GROUPING(language, domain, variant) WHEN 3 THEN 'language' WHEN 5 THEN 'domain' ELSE 'variant' END,
        ARRAY[coalesce(language, domain, variant::text, '')], NULL, {", ".join(f"sum({name})" for name in FIGURES)}
    FROM counted GROUP BY GROUPING SETS ((language), (domain), (variant))
    UNION ALL
    SELECT 'link', ARRAY[coalesce(CASE WHEN link IS NOT NULL THEN language END, ''), coalesce(variant::text, ''),
        coalesce(link::text, ''), CASE WHEN link IS NULL THEN md5(url) ELSE '' END], min(url), 0, 0, 0, 0, 0,
        sum(sign * n), sum(sign), 0, 0
    FROM (
        SELECT sign, language, variant, link, recipient_id, min(url) AS url, count(*) AS n
        FROM event WHERE type = 'CLICK' AND {_COUNTED} AND url IS NOT NULL
        GROUP BY 1, 2, 3, 4, 5, CASE WHEN link IS NULL THEN url END
    ) c GROUP BY 2
    UNION ALL {_DOINGS.format(by="device", whom=" AND actor = 'human'")}
    UNION ALL {_DOINGS.format(by="actor", whom="")}
    UNION ALL
    SELECT 'bounce', ARRAY[class, reported, coalesce(status, '')], NULL, sum(n), 0, 0, 0, 0, 0, 0, 0, 0 FROM (
        SELECT CASE WHEN soft THEN 'SOFT' ELSE 'HARD' END AS class, 'RELAY' AS reported, {STATUS.format("reply")} AS status,
            count(*) AS n
        FROM mail WHERE fresh AND refused GROUP BY 1, 3
        UNION ALL
        SELECT left(type, 4), 'MAIL', {STATUS.format("detail")}, sum(sign)
        FROM event WHERE type IN ('HARD_BOUNCE', 'SOFT_BOUNCE') GROUP BY 1, 3
    ) b GROUP BY 2
    UNION ALL
    SELECT 'time', ARRAY[extract(epoch FROM quarter)::bigint::text], NULL, {", ".join(f"sum({name})" for name in FIGURES)}
    FROM (
        SELECT ended, count(*), count(*) FILTER (WHERE refused AND soft), count(*) FILTER (WHERE refused AND NOT soft),
            0, 0, 0, 0, 0, 0
        FROM mail WHERE fresh GROUP BY 1
        UNION ALL
        SELECT {_QUARTER.format("moment")}, 0, 0, 0, sum(sign) FILTER (WHERE type = 'OPEN'), 0,
            sum(sign) FILTER (WHERE type = 'CLICK'), 0, 0, 0
        FROM event WHERE type IN ('OPEN', 'CLICK') AND {_COUNTED} GROUP BY 1
        {_first("opened_at", opens="sum(sign)")}{_first("clicked_at", clicks="sum(sign)")}
        {_first("left_at", unsubscribes="sum(sign)")}{_first("complained_at", complaints="sum(sign)")}
        {_first("bounced_at", soft="sum(sign) FILTER (WHERE soft)", hard="sum(sign) FILTER (WHERE hard)")}
    ) t (quarter, {", ".join(FIGURES)}) WHERE quarter IS NOT NULL GROUP BY quarter
)"""
# Facts with the same part and key together; what came to nothing is left out.
_NAMES = ", ".join(FIGURES)
_ADDED = ", ".join(f"coalesce(sum({name}), 0)::bigint AS {name}" for name in FIGURES)
ADDED = f"""
SELECT part, key, min(label) AS label, {_ADDED} FROM ({{facts}}) f GROUP BY part, key
HAVING {" OR ".join(f"sum({name}) <> 0" for name in FIGURES)}"""
OF_FACTS = f'SELECT part, key COLLATE "C" AS key, label, {_NAMES} FROM fact'
OF_SUMS = f"SELECT part, key, label, {_NAMES} FROM {{l}}.report_sum WHERE campaign_id = %(campaign)s"
