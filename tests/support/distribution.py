"""Which tests xdist hands out together."""

from xdist.scheduler import LoadScopeScheduling

# They wait most of their time, for what was killed to be noticed: one after the other in one process, while others compute.
# The largest group is begun with, and so nothing long is left for one process alone at the end.
_OF_WHOLE_SERVERS = ("tests/system/", "tests/server/test_supervisor.py")


class Distribution(LoadScopeScheduling):
    """Tests one by one, but those of whole servers together. By their place: xdist's own mark for groups does nothing under
    pytest 9.2, whose items compute their ids.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "servers" if nodeid.startswith(_OF_WHOLE_SERVERS) else nodeid
