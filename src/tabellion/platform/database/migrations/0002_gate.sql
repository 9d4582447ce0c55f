-- The gate: one statement decides a batch of calls. See docs/adr/0002-the-gate.md.

CREATE TYPE tabellion.gate_verdict AS (
    request           integer,
    verdict           text,
    wait_ms           integer,
    user_id           integer,
    licence_id        integer,
    catalogue_version bigint,
    remaining         integer,
    reset_ms          integer,
    in_flight         integer,
    calls_per_minute  integer,
    window_seconds    integer,
    max_concurrent    integer,
    bulk_per_day      integer
);
COMMENT ON TYPE tabellion.gate_verdict IS
    'verdict: admit, expired, concurrent, rate (a request that is missing: unknown credential); wait_ms: sleep before going '
    'on; reset_ms: until one more call is admitted without waiting; null limits: none';

CREATE FUNCTION tabellion.gate(
    p_process  integer,
    p_released integer[],   -- licences of slots that became free, once for each slot
    p_kinds    text[],      -- of each request: k API key, t access token, u user already authenticated
    p_hashes   bytea[],     -- k and t: SHA-256
    p_users    integer[],   -- u: id ...
    p_versions integer[],   -- u: ... and version of its credentials
    p_flags    integer[],   -- 1: counts against the rate; 2: takes a slot; 4: a refusal is final (and counted)
    p_grace    interval,    -- how long a token is accepted past its expiry
    p_now      timestamptz  -- null: the database's clock
) RETURNS SETOF tabellion.gate_verdict LANGUAGE plpgsql AS $$
DECLARE
    l          record;
    state      tabellion.usage_state;
    answer     tabellion.gate_verdict;
    moment     timestamptz;
    today      date;
    busy       integer;
    taken      integer;
    used       integer;
    admitted   integer;
    oldest     timestamptz;
    step       interval;     -- between two calls at the licence's pace
    arrival    timestamptz;
    wait       interval;
    flags      integer;
BEGIN
    -- A power cut may forget some milliseconds of counted calls; it never delays a call by a disk write.
    PERFORM set_config('synchronous_commit', 'off', true);

    IF cardinality(p_released) > 0 THEN
        UPDATE tabellion.usage_slot s SET in_flight = greatest(s.in_flight - r.slots, 0)
        FROM (SELECT licence_id, count(*)::integer AS slots FROM unnest(p_released) AS licence_id GROUP BY licence_id) r
        WHERE s.process_id = p_process AND s.licence_id = r.licence_id;
    END IF;

    -- Licences in the order of their ids, so that two processes never wait for each other's locks.
    FOR l IN
        SELECT c.*, array_agg(q.request ORDER BY q.request) AS requests, array_agg(q.user_id ORDER BY q.request) AS users,
            array_agg(q.flags ORDER BY q.request) AS flags, array_agg(q.expires_at ORDER BY q.request) AS expiries
        FROM (
            SELECT r.request::integer, r.flags, t.expires_at,
                coalesce(k.id, o.id, u.id) AS user_id, coalesce(k.licence_id, o.licence_id, u.licence_id) AS licence_id
            FROM unnest(p_kinds, p_hashes, p_users, p_versions, p_flags)
                WITH ORDINALITY AS r (kind, hash, user_id, version, flags, request)
            LEFT JOIN tabellion.api_user k ON r.kind = 'k' AND k.api_key_hash = r.hash
            LEFT JOIN tabellion.access_token t ON r.kind = 't' AND t.hash = r.hash
            LEFT JOIN tabellion.api_user o ON o.id = t.user_id
            LEFT JOIN tabellion.api_user u ON r.kind = 'u' AND u.id = r.user_id AND u.credential_version = r.version
        ) q
        JOIN LATERAL (
            SELECT id, time_zone, catalogue_version, calls_per_minute, window_seconds, on_excess, max_wait_seconds,
                max_concurrent, bulk_per_day
            FROM tabellion.licence WHERE id = q.licence_id
        ) c ON true
        GROUP BY c.id, c.time_zone, c.catalogue_version, c.calls_per_minute, c.window_seconds, c.on_excess,
            c.max_wait_seconds, c.max_concurrent, c.bulk_per_day
        ORDER BY c.id
    LOOP
        SELECT * INTO state FROM tabellion.usage_state WHERE licence_id = l.id FOR UPDATE;
        IF NOT FOUND THEN
            INSERT INTO tabellion.usage_state (licence_id, day) VALUES (l.id, '-infinity') ON CONFLICT DO NOTHING;
            SELECT * INTO state FROM tabellion.usage_state WHERE licence_id = l.id FOR UPDATE;
        END IF;
        -- Read under the lock, so that a licence's admissions are in the order of their moments.
        moment := coalesce(p_now, clock_timestamp());
        today := (moment AT TIME ZONE l.time_zone)::date;
        IF state.day <> today THEN
            state.day := today;
            state.calls := 0;
            state.slowed_down := 0;
            state.refused := 0;
        END IF;
        SELECT coalesce(sum(s.in_flight), 0) INTO busy
        FROM tabellion.usage_slot s JOIN tabellion.usage_process p ON p.id = s.process_id
        WHERE s.licence_id = l.id AND p.alive_until > moment;
        taken := 0;
        admitted := 0;
        IF l.calls_per_minute IS NOT NULL THEN
            step := make_interval(secs => l.window_seconds::double precision / l.calls_per_minute);
            IF l.on_excess = 'REJECT' THEN
                DELETE FROM tabellion.usage_call
                WHERE licence_id = l.id AND at <= moment - make_interval(secs => l.window_seconds);
                SELECT count(*), min(at) INTO used, oldest FROM tabellion.usage_call WHERE licence_id = l.id;
            END IF;
        END IF;

        FOR i IN 1 .. cardinality(l.requests) LOOP
            flags := l.flags[i];
            answer := ROW (l.requests[i], 'admit', 0, l.users[i], l.id, l.catalogue_version, NULL, 0, 0,
                l.calls_per_minute, l.window_seconds, l.max_concurrent, l.bulk_per_day);
            IF l.expiries[i] + p_grace <= moment THEN
                answer.verdict := 'expired';
                RETURN NEXT answer;
                CONTINUE;
            END IF;
            IF flags & 2 <> 0 AND busy + taken >= l.max_concurrent THEN
                answer.verdict := 'concurrent';
            ELSIF flags & 1 <> 0 AND l.calls_per_minute IS NOT NULL THEN
                IF l.on_excess = 'REJECT' THEN
                    IF used >= l.calls_per_minute THEN
                        answer.verdict := 'rate';
                    ELSE
                        used := used + 1;
                        admitted := admitted + 1;
                        oldest := coalesce(oldest, moment);
                    END IF;
                ELSE
                    arrival := greatest(state.arrival_at, moment) + step;
                    wait := arrival - moment - make_interval(secs => l.window_seconds);
                    IF wait > make_interval(secs => l.max_wait_seconds) THEN
                        answer.verdict := 'rate';
                    ELSE
                        state.arrival_at := arrival;
                        answer.wait_ms := greatest(ceil(extract(epoch FROM wait) * 1000), 0);
                    END IF;
                END IF;
            END IF;
            IF answer.verdict = 'admit' THEN
                taken := taken + (flags & 2) / 2;
                state.calls := state.calls + (flags & 1);
                state.slowed_down := state.slowed_down + (answer.wait_ms > 0)::integer;
            ELSIF flags & 4 <> 0 THEN
                state.refused := state.refused + 1;
            END IF;
            answer.in_flight := busy + taken;
            IF l.calls_per_minute IS NOT NULL THEN
                IF l.on_excess = 'REJECT' THEN
                    answer.remaining := greatest(l.calls_per_minute - used, 0);
                    answer.reset_ms := greatest(ceil(extract(epoch FROM
                        coalesce(oldest, moment) + make_interval(secs => l.window_seconds) - moment) * 1000), 0);
                    IF used = 0 THEN
                        answer.reset_ms := 0;
                    END IF;
                ELSE
                    wait := greatest(state.arrival_at, moment) - moment;
                    answer.remaining := greatest(floor(l.calls_per_minute
                        - extract(epoch FROM wait) / extract(epoch FROM step)), 0);
                    IF wait > interval '0' THEN
                        answer.reset_ms := greatest(ceil(extract(epoch FROM
                            wait - (l.calls_per_minute - answer.remaining - 1) * step) * 1000), 0);
                    END IF;
                END IF;
            END IF;
            RETURN NEXT answer;
        END LOOP;

        UPDATE tabellion.usage_state SET arrival_at = state.arrival_at, day = state.day, calls = state.calls,
            slowed_down = state.slowed_down, refused = state.refused
        WHERE licence_id = l.id;
        IF taken > 0 THEN
            INSERT INTO tabellion.usage_slot AS s (licence_id, process_id, in_flight) VALUES (l.id, p_process, taken)
            ON CONFLICT (licence_id, process_id) DO UPDATE SET in_flight = s.in_flight + EXCLUDED.in_flight;
        END IF;
        IF admitted > 0 THEN
            INSERT INTO tabellion.usage_call (licence_id, at) SELECT l.id, moment FROM generate_series(1, admitted);
        END IF;
    END LOOP;
END
$$;
