"""A server with something of everything, and a backup of it, from which tests make servers."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tabellion.server.backup.restoring import Restored, restore
from tabellion.settings import Settings
from tests.support.api import Api, running_api
from tests.support.imports import Imports, zipped
from tests.support.postgres import Cluster, database_name
from tests.support.serving import json_here
from tests.support.tenant import Tenant
from tests.support.tenants import Tenants
from tests.support.zips import packed

MAIL = "/v4/entity/hotels/mail"
PROFILES = "/v5/entities/hotels/profile-tables/Guests/profiles"
GIF = b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"
NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
# Until a program has begun its work, also on a machine that is busy with others'.
LONG_S = 90.0


class Source(NamedTuple):
    """A server without a job worker: what was asked of it waits. `imported` has an error file, `queued` its upload.

    `files`: the spool at the moment of the backup; tests go on writing into it.
    """

    api: Api
    url: str
    data: Path
    tenant: Tenant
    campaign: int
    transactional: int
    imported: int
    queued: int
    image: str
    backup: Path
    files: dict[str, bytes]

    @property
    def settings(self) -> Settings:
        return Settings(database_url=self.url, data_dir=self.data)


@pytest.fixture(scope="package")
def source(cluster: Cluster, template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    folder = tmp_path_factory.mktemp("source")
    name = database_name("source")
    url = cluster.create(name, template=template_database)
    with running_api(url, folder) as api, Tenants(url) as tenants, api.client() as client:
        tenant = tenants.create(client)
        campaign = tenant.campaign()
        page = '<p>Dear {{ profile.lastName }}</p><img src="a.gif"><a href="{{ unsubscribeUrl }}">no</a>'
        sent = client.post(
            f"{MAIL}/{campaign}/content/body",
            files={"inputFile": ("mail.zip", packed({"index.html": page, "a.gif": GIF}), "application/zip")},
            headers=_bearer(tenant),
        )
        assert sent.status_code == 200, sent.text
        transactional = tenant.campaign("Booked", "TRANSACTIONAL")
        for number in (campaign, transactional):
            assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
        later = tenant.campaign("Later")
        moment = {"scheduledAt": (datetime.now(UTC) + timedelta(days=1)).isoformat()}
        assert tenant.json("POST", f"{MAIL}/{later}/launch", moment).status_code == 200
        trigger = f"{MAIL}/{transactional}/profile/emailAddress=ann@example.com"
        assert tenant.json("POST", trigger, []).status_code == 200
        imports = Imports(tenant, url, folder / "data" / "spool")
        done = imports.do(zipped("emailAddress,lastName\nbob@example.com,Bos\nno address,X\n"))
        queued = imports.send(zipped("emailAddress,lastName\neve@example.com,Eve\n")).json()["id"]
        image = client.get(f"/v5/entities/hotels/mails/{campaign}/contents/default", headers=_bearer(tenant)).json()["html"]
        place = image[image.index("/i/") :].split('"')[0]
        backup = folder / "backup.tar"
        environment = {"TABELLION_DATABASE_URL": url, "TABELLION_DATA_DIR": str(folder / "data")}
        told = json_here("backup", str(backup), cwd=folder, **environment)
        assert (told["licences"], told["secretKey"], told["missingFiles"]) == (1, "included", 0)
        spool = files_of(folder / "data" / "spool")
        assert told["files"]["count"] == len(spool)
        imported: int = done["id"]
        yield Source(api, url, folder / "data", tenant, campaign, transactional, imported, queued, place, backup, spool)
    cluster.drop(name)


def _bearer(tenant: Tenant) -> dict[str, str]:
    return {"Authorization": f"Bearer {tenant.api_key}"}


def files_of(spool: Path) -> dict[str, bytes]:
    """What is in a spool, by path."""
    return {str(path.relative_to(spool)): path.read_bytes() for path in sorted(spool.rglob("*")) if path.is_file()}


def restored(backup: Path, url: str, folder: Path, **options: Any) -> Restored:
    """A backup restored into the database at `url` and a data directory, held unless `options` (of `restore`) say otherwise."""
    options = {"resume_sendings": False} | options
    return restore(Settings(database_url=url, data_dir=folder), backup, lambda: datetime.now(UTC), **options)
