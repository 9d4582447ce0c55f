"""Debian's Postfix with a configuration, a queue and mailboxes of its own, on a port of loopback; the machine's is not touched."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.support.api import free_port

BOXES = 20
_SERVICES = """
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
_SETTINGS = """
compatibility_level = 3.6
config_directory = {home}/config
queue_directory = {home}/queue
data_directory = {home}/data
maillog_file = {home}/log/mail.log
maillog_file_prefixes = {home}
myhostname = mx.example.com
mydestination =
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
local_recipient_maps =
smtpd_relay_restrictions = permit_mynetworks, reject
# Who lives here is found out when the mail is delivered, as behind many a gateway: what comes back is a mail.
smtpd_reject_unlisted_recipient = no
virtual_mailbox_domains = example.com
virtual_mailbox_base = {home}/boxes
virtual_mailbox_maps = texthash:{home}/config/boxes
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{uid}
virtual_minimum_uid = 1
virtual_alias_maps =
transport_maps = inline:{{ {back}=smtp:[127.0.0.1]:{door} }}
default_transport = error:there is no outside
smtp_host_lookup = native
smtp_dns_support_level = disabled
minimal_backoff_time = 1s
"""


class Postfix:
    """Takes mails at `port`; g0 to g19 and news, all at example.com, live here."""

    def __init__(self, home: Path, port: int) -> None:
        self.home, self.port = home, port

    def mails(self) -> dict[str, list[EmailMessage]]:
        """The mails in the boxes, by the local part of their owners."""
        found: dict[str, list[EmailMessage]] = {}
        for path in self.home.glob("boxes/*/new/*"):
            mail = message_from_bytes(path.read_bytes(), policy=policy.default)
            found.setdefault(path.parents[1].name, []).append(mail)
        return found

    def log(self) -> str:
        """What it has to say."""
        return "\n".join(path.read_text() for path in self.home.glob("log/*"))


@contextmanager
def running_postfix(back: str, door: int) -> Generator[Postfix]:
    """A running server; mails for the domain `back` go to the port `door`."""
    if os.getuid() != 0 or shutil.which("postfix", path="/usr/sbin:/usr/bin") is None:
        pytest.skip("Postfix (Debian: apt-get install postfix) can be started by root only")
    # Its processes have a user of their own, who has to come to it.
    home = Path(tempfile.mkdtemp(prefix="tabellion-postfix-"))
    home.chmod(0o755)
    user, port = pwd.getpwnam("postfix"), free_port()
    for name in ("config", "queue", "data", "boxes", "log"):
        (home / name).mkdir()
    for name in ("data", "boxes"):
        os.chown(home / name, user.pw_uid, user.pw_gid)
    (home / "config/main.cf").write_text(_SETTINGS.format(home=home, uid=user.pw_uid, back=back, door=door))
    (home / "config/master.cf").write_text(_SERVICES.format(port=port))
    lives = [*(f"g{number}" for number in range(BOXES)), "news"]
    (home / "config/boxes").write_text("".join(f"{name}@example.com {name}/\n" for name in lives))
    command = ["/usr/sbin/postfix", "-c", str(home / "config")]
    try:
        started = subprocess.run([*command, "start"], capture_output=True, text=True, check=False)
        assert started.returncode == 0, started.stdout + started.stderr
        yield Postfix(home, port)
    finally:
        subprocess.run([*command, "stop"], capture_output=True, check=False)
        shutil.rmtree(home, ignore_errors=True)
