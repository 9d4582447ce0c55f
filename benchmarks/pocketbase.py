"""PocketBase beside us, where its wheel is installed (`make bench` and `make bench-bulk` install it)."""

import http.client
import json
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import prepare
from rounds import Target

PROGRAM = Path(sys.executable).with_name("pocketbase")
_FIELDS = [{"name": name, "type": "text"} for name in ("email", "firstName", "lastName", "birthDate", "country")]


class PocketBase:
    """A PocketBase with one collection, `contacts`, of text fields by default."""

    def __init__(
        self, program: Path, folder: Path, fields: Sequence[dict[str, str]] = _FIELDS, unique: Sequence[str] = ("email",)
    ) -> None:
        self._fields = list(fields)
        self._unique = list(unique)
        self._program = str(program)
        self._data = folder / "pocketbase"
        self._port = prepare.free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._token = ""

    def __enter__(self) -> Self:
        """Start it without any data. Raises `urllib.error.URLError`."""
        shutil.rmtree(self._data, ignore_errors=True)
        # It writes down how its collections were made, by default beside its data, and makes them again at the next start.
        data = ["--dir", str(self._data), "--migrationsDir", str(self._data / "migrations")]
        subprocess.run(
            [self._program, "superuser", "upsert", "bench@example.com", "benchbench", *data], check=True, capture_output=True
        )
        self._process = subprocess.Popen(
            [self._program, "serve", "--http", f"127.0.0.1:{self._port}", *data],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._prepare()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)

    def _prepare(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                self._login()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        indexes = [f"CREATE UNIQUE INDEX idx_{name} ON contacts ({name})" for name in self._unique]
        self._post("/api/collections", {"name": "contacts", "type": "base", "fields": self._fields, "indexes": indexes})

    def fill(self, count: int) -> int:
        """Records to be read."""
        for number in range(1, count + 1):
            record = {"email": f"user{number}@example.com", "firstName": "Ann", "lastName": f"Vos{number}"}
            self._post("/api/collections/contacts/records", {**record, "birthDate": "1984-05-12", "country": "BE"})
        return count

    def loaded(self, records: Sequence[dict[str, Any]], size: int, clients: int) -> float:
        """Seconds that its batch API takes for records, so many in a batch, over so many connections at once."""
        self._post(
            "/api/settings",
            {"batch": {"enabled": True, "maxRequests": size, "timeout": 60, "maxBodySize": 1 << 28}},
            "PATCH",
        )
        path = "/api/collections/contacts/records"
        bodies = [
            json.dumps({"requests": [{"method": "POST", "url": path, "body": record} for record in records[at : at + size]]})
            for at in range(0, len(records), size)
        ]

        def send(mine: Sequence[str]) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", self._port)
            for body in mine:
                connection.request(
                    "POST", "/api/batch", body, {"Content-Type": "application/json", "Authorization": self._token}
                )
                answer = connection.getresponse()
                text = answer.read()
                if answer.status != 200:
                    sys.exit(f"PocketBase answered {answer.status}: {text[:300]!r}")

        began = time.perf_counter()
        with ThreadPoolExecutor(clients) as threads:
            list(threads.map(send, [bodies[n::clients] for n in range(clients)]))
        return time.perf_counter() - began

    def target(self, mode: str, profiles: int, folder: Path) -> Target:
        """PocketBase under load."""
        tokens = folder / "pocketbase-token"
        tokens.write_text(self._token)
        path = "/api/collections/contacts/records"
        settings = {"MODE": mode, "STYLE": "pocketbase", "TOKENS": str(tokens), "PREFIX": path, "PROFILES": str(profiles)}
        return Target("pocketbase", self.url, settings)

    def _login(self) -> None:
        body = {"identity": "bench@example.com", "password": "benchbench"}
        self._token = self._post("/api/collections/_superusers/auth-with-password", body)["token"]

    def _post(self, path: str, body: Any, method: str = "POST") -> Any:
        headers = {"Content-Type": "application/json", "Authorization": self._token}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            error.add_note(f"PocketBase answered: {error.read(1000).decode(errors='replace')}")
            raise
