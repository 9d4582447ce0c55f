-- What shows that the audit trail is what it was (docs/adr/0066-audit-seals.md): a chain of seals, each over the entries whose ids are beyond those
-- of the one before. Seals stay; entries go when they are too old, which a seal says as well.
CREATE TABLE tabellion.audit_seal (
    number      bigint PRIMARY KEY,
    last_id     bigint NOT NULL,
    entries     integer NOT NULL,
    newest      timestamptz NOT NULL,
    sealed_at   timestamptz NOT NULL,
    gone_from   bigint,
    gone_to     bigint,
    gone_before timestamptz,
    content     bytea NOT NULL,
    digest      bytea NOT NULL,
    key         text NOT NULL,
    mac         bytea NOT NULL,
    CHECK (num_nonnulls(gone_from, gone_to, gone_before) IN (0, 3))
);
COMMENT ON COLUMN tabellion.audit_seal.newest IS 'moment of the latest of the entries, and not after that of the sealing';
COMMENT ON COLUMN tabellion.audit_seal.gone_from IS 'the entries of the seals gone_from to gone_to, all from before gone_before, were deleted with this one';
COMMENT ON COLUMN tabellion.audit_seal.content IS 'SHA-256 of the entries';
COMMENT ON COLUMN tabellion.audit_seal.digest IS 'SHA-256 of all columns before, and of the digest of the seal before';
COMMENT ON COLUMN tabellion.audit_seal.key IS 'fingerprint of the secret that mac, over digest, was made with';
