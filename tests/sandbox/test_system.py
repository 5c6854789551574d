"""The parts of the sandbox fit together: its settings load, its keys are where they say, its policies are minimal."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import hvac
import pytest
from hvac.exceptions import Forbidden

from bot.config.settings import load
from bot.sandbox.huawei.credentials import (
    ACCESS_KEY,
    ARCHIVE,
    AZURE_CONNECTION_STRING,
    CDN_KEY,
    GOOGLE_JSON,
    MEDIA,
    SOURCE_AK,
    SOURCE_SK,
)
from bot.sandbox.system import Sandbox
from bot.sandbox.vault import caller_path, destination_path, secrets_of, source_paths


@pytest.fixture(scope="module")
def both() -> Iterator[Sandbox]:
    sandbox = Sandbox(projects=2)
    yield sandbox.open()
    sandbox.close()


def reader(sandbox: Sandbox, role: str) -> Callable[[str], dict[str, str]]:
    """A function that reads a path as one of the Vault identities of the bot."""
    client = hvac.Client(url=sandbox.vault.url)
    login = sandbox.vault.login(role)
    client.auth.approle.login(login.role_id, login.secret_id)

    def read(path: str) -> dict[str, str]:
        found = client.secrets.kv.v2.read_secret_version(path, mount_point="secret", raise_on_deleted_version=True)
        values: dict[str, str] = found["data"]["data"]
        return values

    return read


def test_its_settings_load_and_each_project_has_its_own_server(both: Sandbox) -> None:
    projects = load(both.environment()).projects
    assert set(projects) == {"media", "archive"}
    for name, project in projects.items():
        cloud = both.oms_by_project[name].state.project
        assert (project.region, project.project_id) == (cloud.region, cloud.project_id)
        assert project.oms_url == project.iam_url == both.oms_by_project[name].server.url
        assert project.vault.caller == caller_path(cloud)
    assert projects["media"].region != projects["archive"].region
    assert (both.oms.state, both.oms) == (both.oms_by_project["media"].state, both.oms_by_project["media"])


def test_the_keys_are_at_the_paths_of_the_settings(both: Sandbox) -> None:
    projects, read = load(both.environment()).projects, reader(both, "bot")
    media = projects["media"]
    assert read(str(media.source_path("scans"))) == {"json_auth_file": GOOGLE_JSON}
    assert read(str(media.source_path("contracts"))) == {"connection_string": AZURE_CONNECTION_STRING}
    assert read(str(media.source_path("shop")))["source_cdn_authentication_key"] == CDN_KEY
    assert read(str(media.source_path("photos-prod"))) == {"ak": SOURCE_AK, "sk": SOURCE_SK}
    assert read(projects["archive"].vault.caller)["ak"] == ARCHIVE.access_key != ACCESS_KEY


def test_buckets_that_need_other_keys_have_their_own_path(both: Sandbox) -> None:
    paths = source_paths(MEDIA)
    for group in both.oms.state.groups.values():
        needs_own = group.cloud_type == "GOOGLE" or group.description.endswith("by connection string")
        needs_own = needs_own or (group.cdn is not None and group.cdn.domain != "")
        assert (group.bucket in paths) == needs_own, group.description


def test_the_main_identity_reads_only_the_caller_and_the_release_identity_only_the_keys(both: Sandbox) -> None:
    main, release = reader(both, "main"), reader(both, "release")
    for project in (MEDIA, ARCHIVE):
        keys = [*source_paths(project).values(), destination_path(project)]
        assert set(both.vault.paths) >= {*keys, caller_path(project)} == set(secrets_of(project))
        assert all(release(path) for path in keys)
        assert main(caller_path(project))
        for read, path in ((release, caller_path(project)), *((main, path) for path in keys)):
            with pytest.raises(Forbidden):
                read(path)
