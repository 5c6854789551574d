"""The town holds together: settings that load, keys where the settings say, and identities that read no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import hvac
import pytest
from hvac.exceptions import Forbidden

from bot.config.settings import load
from bot.sandbox import oms_state as ow
from bot.sandbox.system import Sandbox
from bot.sandbox.vault_paths import caller_path, destination_path, secrets_of, source_paths


@pytest.fixture(scope="module")
def two() -> Iterator[Sandbox]:
    sandbox = Sandbox(projects=2)
    yield sandbox.open()
    sandbox.close()


def reader(sandbox: Sandbox, role: str) -> Callable[[str], dict[str, str]]:
    """Reads a path as one of the bot's Vault identities."""
    client = hvac.Client(url=sandbox.vault.url)
    login = sandbox.vault.login(role)
    client.auth.approle.login(login.role_id, login.secret_id)

    def read(path: str) -> dict[str, str]:
        found = client.secrets.kv.v2.read_secret_version(path, mount_point="secret", raise_on_deleted_version=True)
        values: dict[str, str] = found["data"]["data"]
        return values

    return read


def test_its_settings_load_and_name_each_project_with_its_own_servers(two: Sandbox) -> None:
    projects = load(two.environment()).projects
    assert set(projects) == {"media", "archive"}
    for name, project in projects.items():
        place = two.worlds[name].place
        assert (project.region, project.project_id) == (place.region, place.project_id)
        assert project.oms_url == project.iam_url == two.clouds[name].server.url
        assert project.vault.caller == caller_path(place)
    assert projects["media"].region != projects["archive"].region
    assert (two.world, two.oms) == (two.worlds["media"], two.clouds["media"])


def test_the_keys_are_where_the_settings_say(two: Sandbox) -> None:
    projects, read = load(two.environment()).projects, reader(two, "bot")
    media = projects["media"]
    assert read(str(media.source_path("scans"))) == {"json_auth_file": ow.GOOGLE_JSON}
    assert read(str(media.source_path("contracts"))) == {"connection_string": ow.AZURE_CONNECTION_STRING}
    assert read(str(media.source_path("shop")))["source_cdn_authentication_key"] == ow.CDN_KEY
    assert read(str(media.source_path("photos-prod"))) == {"ak": ow.SOURCE_AK, "sk": ow.SOURCE_SK}
    assert read(projects["archive"].vault.caller)["ak"] == ow.ARCHIVE.access_key != ow.ACCESS_KEY


def test_every_group_whose_source_takes_other_keys_has_a_path_of_its_own(two: Sandbox) -> None:
    paths = source_paths(ow.MEDIA)
    for group in two.world.groups.values():
        needs_own = group.cloud_type == "GOOGLE" or group.description.endswith("by connection string")
        needs_own = needs_own or (group.cdn is not None and group.cdn.domain != "")
        assert (group.bucket in paths) == needs_own, group.description


def test_the_identity_that_stands_reads_no_keys_and_the_one_of_the_release_no_caller(two: Sandbox) -> None:
    main, release = reader(two, "main"), reader(two, "release")
    for place in (ow.MEDIA, ow.ARCHIVE):
        keys = [*source_paths(place).values(), destination_path(place)]
        assert set(two.vault.paths) >= {*keys, caller_path(place)} == set(secrets_of(place))
        assert all(release(path) for path in keys)
        assert main(caller_path(place))
        for read, path in ((release, caller_path(place)), *((main, path) for path in keys)):
            with pytest.raises(Forbidden):
                read(path)
