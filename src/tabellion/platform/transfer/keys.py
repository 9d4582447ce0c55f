"""Private keys that somebody has written, opened by a process of its own.

How often a passphrase is hashed stands in the key, and numbers of RSA are tested for being primes: that may take hours, or
all memory, in which a server would answer nobody else. Run as `python -I -m tabellion.platform.transfer.keys`: reads key and
password, and writes the key as it is without a password.
"""

import asyncio
import json
import resource
import sys
from asyncio.subprocess import DEVNULL, PIPE

_WITHIN_S = 10.0
_MOST_BYTES = 1024**3
# Of each server process; who comes later waits.
_AT_A_TIME = asyncio.Semaphore(1)


async def opened(text: str, password: str) -> str | None:
    """A key of SSH without its password, in OpenSSH's form; None: it is none, or not opened by it, or not in ten seconds."""
    command = (sys.executable, "-I", "-m", __name__)
    async with _AT_A_TIME:
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
        try:
            async with asyncio.timeout(_WITHIN_S):
                key, _ = await process.communicate(json.dumps([text, password]).encode())
        except TimeoutError:
            return None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    return key.decode() if key and not process.returncode else None


def _open(text: str, password: str) -> bytes:
    import asyncssh  # noqa: PLC0415 - not in the process that asks

    return asyncssh.import_private_key(text, password or None).export_private_key("openssh")


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (int(_WITHIN_S), int(_WITHIN_S)))
    sys.stdout.buffer.write(_open(*json.load(sys.stdin)))
