"""What can go wrong with the embedded PostgreSQL; the messages are shown to the operator as they are."""


class EmbeddedPostgresError(RuntimeError):
    """The embedded PostgreSQL cannot be started, stopped or used; the message says why and what to do."""


class StillStarting(EmbeddedPostgresError):
    """It has not come to the end of its recovery yet, and goes on with it."""
