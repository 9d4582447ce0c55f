"""The placeholders that address an entity and a table, as the documentation describes them."""

from tabellion.platform.http.call import Parameter

ENTITY = Parameter("e", "name of the entity; `-` is the API user's default entity", "hotels")
TABLE = Parameter("t", "name or id of the profile table", "Guests")
