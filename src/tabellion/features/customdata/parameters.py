"""The placeholder that addresses a custom table, as the documentation describes it."""

from tabellion.platform.http.call import Parameter

CUSTOM_TABLE = Parameter("t", "name or id (UUID) of the custom table", "Stays")
