"""The numbers of advisory locks. PostgreSQL knows locks by number alone: two purposes with one wait for each other."""

from enum import IntEnum, unique


@unique
class AdvisoryLock(IntEnum):
    """What is locked; with most of them, a second number says which one of its kind.

    Processes of two releases run side by side during an upgrade: a number that is given stays.
    """

    # One at a time changes the schema, or the job library's: "tabellio" and "jobs" in ASCII.
    MIGRATION = 0x746162656C6C696F
    JOBS_SCHEMA = 0x6A6F6273
    # One at a time makes the database from a backup ("rest").
    RESTORE = 0x72657374
    # Held for as long as a job worker lives ("work"), or one of its jobs of a kind ("impo", "expo", "etle").
    JOB_WORKER = 0x776F726B
    IMPORT = 0x696D706F
    EXPORT = 0x6578706F
    EXECUTION = 0x65746C65
    # Held for as long as a process sends mails.
    MAIL_WORKER = 7_255_001
    # One at a time: a licence's claims under rules; soft bounces of an address; what comes of a mail; a sending's claims.
    MAIL_CLAIMS = 7_255_002
    SOFT_BOUNCES = 7_255_003
    READER = 7_255_004
    MAIL_ADDRESSES = 7_255_005
    # Held for as long as a process adds changes to the sums of a licence's reports.
    REPORT_SUMS = 7_255_006
    # One at a time adds to the seals of the audit trail.
    AUDIT_SEALS = 7_255_007
    # One at a time exchanges the key of secrets.
    KEYS = 7_255_008
    # Held while the audience of a sending is entered, or given the winner of its test.
    AUDIENCE = 7_255_009
