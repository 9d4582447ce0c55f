"""Which tests xdist hands out together."""

from xdist.scheduler import LoadScopeScheduling

# They wait most of their time, for what was killed to be noticed: one after the other in one process, while others compute.
_OF_WHOLE_SERVERS = ("tests/system/", "tests/server/test_supervisor.py")
# What the tests of a file share is dear here: licences, a sender at work, a browser, servers of files, certificates. Each process
# that runs some of them makes it for itself.
_SHARING = ("tests/contract/", "tests/platform/")


class Distribution(LoadScopeScheduling):
    """Tests one by one, but those of whole servers together, and those of a file that shares much. The larger a group, the earlier it
    is begun with: at the end single tests are left, and nothing long for one process alone.

    By their place: xdist's own mark for groups does nothing under pytest 9.2, whose items compute their ids.
    """

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(_OF_WHOLE_SERVERS):
            return "servers"
        return nodeid.partition("::")[0] if nodeid.startswith(_SHARING) else nodeid
