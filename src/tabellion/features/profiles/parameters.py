"""The placeholder that addresses a profile, as the documentation describes it."""

from tabellion.platform.http.call import Parameter

PROFILE = Parameter("p", "id of the profile, or `attribute=value` of a unique attribute", "emailAddress=ann@example.com")
