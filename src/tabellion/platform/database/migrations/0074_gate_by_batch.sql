-- The gate writes what it has decided about all licences of a batch at once: see docs/adr/0002-the-gate.md.

CREATE OR REPLACE FUNCTION tabellion.gate(
    p_process       integer,
    p_free_licences integer[],   -- licences with slots that became free ...
    p_free_slots    integer[],   -- ... and how many
    p_kinds         text[],      -- of each request: k API key, t access token, u user already authenticated
    p_hashes        bytea[],     -- k and t: SHA-256
    p_users         integer[],   -- u: id ...
    p_versions      integer[],   -- u: ... and version of its credentials
    p_flags         integer[],   -- 1: counts against the rate; 2: takes a slot; 4: a refusal is final (and counted)
    p_grace         interval,    -- how long a token is accepted past its expiry
    p_now           timestamptz  -- null: the database's clock
) RETURNS SETOF tabellion.gate_verdict LANGUAGE plpgsql AS $$
DECLARE
    requests integer := cardinality(p_kinds);
    users    integer[] := '{}';
    licences integer[] := '{}';
    expired  boolean[] := '{}';
    turns    integer[];
    last     integer;    -- the licence whose calls are being decided
    l        record;
    state    tabellion.usage_state;
    states   tabellion.usage_state[] := '{}';   -- to be written
    slots    integer[] := '{}';   -- licences whose slots were taken or freed ...
    changes  integer[] := '{}';   -- ... and how many, freed ones negative
    changed  integer;
    answer   tabellion.gate_verdict;
    user_id_     integer;
    licence_id_  integer;
    expires_at_  timestamptz;
    moment   timestamptz := coalesce(p_now, clock_timestamp());
    seconds  double precision;
    today    date;
    busy     integer := 0;
    taken    integer := 0;
    used     integer := 0;
    admitted integer := 0;
    oldest   double precision;
    step     double precision;   -- seconds between two calls at the licence's pace
    wait     double precision;
    flags    integer;
    place    integer;
    freed    integer;
    r        integer;
BEGIN
    -- Who is asking: the same credential several times in a row is looked up once.
    FOR i IN 1 .. requests LOOP
        IF i = 1 OR p_kinds[i] <> p_kinds[i - 1] OR p_hashes[i] <> p_hashes[i - 1] OR p_users[i] <> p_users[i - 1]
            OR p_versions[i] <> p_versions[i - 1]
        THEN
            user_id_ := NULL;
            licence_id_ := NULL;
            expires_at_ := 'infinity';
            IF p_kinds[i] = 'k' THEN
                SELECT u.id, u.licence_id INTO user_id_, licence_id_
                FROM tabellion.api_user u WHERE u.api_key_hash = p_hashes[i];
            ELSIF p_kinds[i] = 't' THEN
                SELECT u.id, u.licence_id, t.expires_at INTO user_id_, licence_id_, expires_at_
                FROM tabellion.access_token t JOIN tabellion.api_user u ON u.id = t.user_id WHERE t.hash = p_hashes[i];
            ELSE
                SELECT u.id, u.licence_id INTO user_id_, licence_id_
                FROM tabellion.api_user u WHERE u.id = p_users[i] AND u.credential_version = p_versions[i];
            END IF;
        END IF;
        users := users || user_id_;
        licences := licences || licence_id_;
        expired := expired || (expires_at_ + p_grace <= moment);
    END LOOP;

    -- Licences in the order of their ids, so that two processes never wait for each other's locks.
    IF requests > 0 AND licences[1] IS NOT NULL AND licences[1] = ALL (licences) THEN
        turns := array(SELECT generate_series(1, requests));
    ELSE
        turns := array(SELECT i::integer FROM unnest(licences) WITH ORDINALITY AS q (licence_id, i)
                       WHERE licence_id IS NOT NULL ORDER BY licence_id, i);
    END IF;

    -- 0: the end. What is decided about a licence is written with that of the others.
    FOREACH r IN ARRAY turns || 0 LOOP
        IF last IS NOT NULL AND (r = 0 OR last <> licences[r]) THEN
            states := states || state;
            IF taken <> freed THEN
                slots := slots || last;
                changes := changes || (taken - freed);
            END IF;
            IF admitted > 0 THEN
                INSERT INTO tabellion.usage_call (licence_id, at) SELECT last, moment FROM generate_series(1, admitted);
            END IF;
        END IF;
        EXIT WHEN r = 0;
        IF last IS NULL OR last <> licences[r] THEN
            last := licences[r];
            LOOP
                SELECT n.*, s AS state INTO l FROM tabellion.licence n JOIN tabellion.usage_state s ON s.licence_id = n.id
                WHERE n.id = last FOR UPDATE OF s;
                EXIT WHEN FOUND;
                INSERT INTO tabellion.usage_state (licence_id, day) VALUES (last, '-infinity') ON CONFLICT DO NOTHING;
            END LOOP;
            state := l.state;
            -- Read under the lock, so that a licence's admissions are in the order of their moments.
            moment := coalesce(p_now, clock_timestamp());
            seconds := extract(epoch FROM moment);
            today := (moment AT TIME ZONE l.time_zone)::date;
            IF state.day <> today THEN
                state.day := today;
                state.calls := 0;
                state.slowed_down := 0;
                state.refused := 0;
            END IF;
            place := array_position(p_free_licences, l.id);
            freed := coalesce(p_free_slots[place], 0);
            taken := 0;
            admitted := 0;
            SELECT coalesce(sum(s.in_flight), 0) - freed INTO busy
            FROM tabellion.usage_slot s JOIN tabellion.usage_process p ON p.id = s.process_id
            WHERE s.licence_id = l.id AND p.alive_until > moment;
            IF l.calls_per_minute IS NOT NULL THEN
                step := l.window_seconds::double precision / l.calls_per_minute;
                IF l.on_excess = 'REJECT' THEN
                    DELETE FROM tabellion.usage_call
                    WHERE licence_id = l.id AND at <= moment - make_interval(secs => l.window_seconds);
                    SELECT count(*), extract(epoch FROM min(at)) INTO used, oldest
                    FROM tabellion.usage_call WHERE licence_id = l.id;
                END IF;
            END IF;
        END IF;

        flags := p_flags[r];
        answer := ROW (r, 'admit', 0, users[r], l.id, l.catalogue_version, NULL, 0, 0,
            l.calls_per_minute, l.window_seconds, l.max_concurrent, l.bulk_per_day);
        IF expired[r] THEN
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
                    oldest := coalesce(oldest, seconds);
                END IF;
            ELSE
                wait := greatest(state.arrival, seconds) + step - seconds - l.window_seconds;
                IF wait > l.max_wait_seconds THEN
                    answer.verdict := 'rate';
                ELSE
                    state.arrival := greatest(state.arrival, seconds) + step;
                    -- A microsecond of rounding is no reason to wait.
                    answer.wait_ms := greatest(ceil(wait * 1000 - 0.001), 0);
                END IF;
            END IF;
        END IF;
        IF answer.verdict = 'admit' THEN
            taken := taken + (flags & 2) / 2;
            state.calls := state.calls + (flags & 1);
            IF answer.wait_ms > 0 THEN
                state.slowed_down := state.slowed_down + 1;
            END IF;
        ELSIF flags & 4 <> 0 THEN
            state.refused := state.refused + 1;
        END IF;
        answer.in_flight := busy + taken;
        IF l.calls_per_minute IS NOT NULL THEN
            IF l.on_excess = 'REJECT' THEN
                answer.remaining := greatest(l.calls_per_minute - used, 0);
                IF used > 0 THEN
                    answer.reset_ms := greatest(ceil((oldest + l.window_seconds - seconds) * 1000), 0);
                END IF;
            ELSE
                wait := greatest(state.arrival - seconds, 0);
                answer.remaining := greatest(floor(l.calls_per_minute - wait / step + 0.000001), 0);
                IF wait > 0 THEN
                    answer.reset_ms := greatest(ceil((wait - (l.calls_per_minute - answer.remaining - 1) * step) * 1000), 0);
                END IF;
            END IF;
        END IF;
        RETURN NEXT answer;
    END LOOP;

    -- Slots of licences that nobody asked for.
    FOR i IN 1 .. cardinality(p_free_licences) LOOP
        IF array_position(licences, p_free_licences[i]) IS NULL THEN
            slots := slots || p_free_licences[i];
            changes := changes || -p_free_slots[i];
        END IF;
    END LOOP;

    UPDATE tabellion.usage_state s
    SET arrival = k.arrival, day = k.day, calls = k.calls, slowed_down = k.slowed_down, refused = k.refused
    FROM unnest(states) k WHERE s.licence_id = k.licence_id;
    UPDATE tabellion.usage_slot s SET in_flight = greatest(s.in_flight + k.change, 0)
    FROM unnest(slots, changes) AS k (licence_id, change) WHERE s.licence_id = k.licence_id AND s.process_id = p_process;
    GET DIAGNOSTICS changed = ROW_COUNT;
    IF changed < cardinality(slots) THEN
        INSERT INTO tabellion.usage_slot (licence_id, process_id, in_flight)
        SELECT k.licence_id, p_process, k.change FROM unnest(slots, changes) AS k (licence_id, change) WHERE k.change > 0
        ON CONFLICT DO NOTHING;
    END IF;
END
$$;

DROP FUNCTION tabellion.gate_keep;
