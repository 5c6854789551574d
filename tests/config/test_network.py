"""`[network]` in bot.toml: additional certificates, the proxy, its password, and the services behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bot.config.settings import Network, example, load
from bot.net.proxy import Proxy
from tests.support.settings import GOOD, problems
from tests.support.tls import ROOT

PROXY = 'proxy = "http://proxy.example:3128"'
FIX = "Write it as http://HOST:PORT, or http://USER@HOST:PORT with the password in NETWORK_PROXY_PASSWORD."

Environ = Callable[[str], dict[str, str]]


@pytest.fixture
def environ(tmp_path: Path) -> Environ:
    """Good settings with these lines under [network]."""
    path = tmp_path / "bot.toml"

    def write(lines: str) -> dict[str, str]:
        path.write_text(f"{example()}\n[network]\n{lines}\n", encoding="utf-8")
        return GOOD | {"BOT_CONFIG": str(path)}

    return write


def network(environ: dict[str, str]) -> Network:
    return load(environ).network


def test_without_settings_everything_is_reached_directly(environ: Environ) -> None:
    found = network(environ("") | {"HTTPS_PROXY": "http://proxy.example:3128"})
    assert found.ca is None
    assert [found.proxy_to("slack"), found.proxy_to("huawei"), found.proxy_to("vault")] == [None, None, None]


def test_a_proxy_is_for_slack_and_huawei_cloud_unless_other_services_are_named(environ: Environ) -> None:
    found = network(environ(PROXY))
    proxy = Proxy("proxy.example", 3128)
    assert [found.proxy_to("slack"), found.proxy_to("huawei"), found.proxy_to("vault")] == [proxy, proxy, None]
    found = network(environ(f'{PROXY}\nproxy_for = ["vault", "slack"]'))
    assert [found.proxy_to("slack"), found.proxy_to("huawei"), found.proxy_to("vault")] == [proxy, None, proxy]


def test_the_password_comes_from_the_environment_a_file_or_the_url(environ: Environ, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("p@ss wörd\n", encoding="utf-8")
    with_user = environ('proxy = "http://bot:@proxy.example:3128/"')
    settings = [
        with_user | {"NETWORK_PROXY_PASSWORD": "p@ss wörd"},
        with_user | {"NETWORK_PROXY_PASSWORD_FILE": str(tmp_path / "password")},
    ]
    found = [network(environ) for environ in settings]
    found.append(network(environ('proxy = "http://bot:p%40ss%20w%C3%B6rd@proxy.example:3128"')))
    for one in found:
        assert one.proxy is not None
        assert one.proxy.password is not None
        assert one.proxy.password.reveal() == "p@ss wörd"
        assert replace(one.proxy, password=None) == Proxy("proxy.example", 3128, "bot")
        assert "p@ss" not in f"{one} {one!r}"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("proxy = 3128", f"network.proxy: is not text. {FIX}"),
        *(
            (f'proxy = "{url}"', f"network.proxy: is not the URL of an HTTP proxy with its port. {FIX}")
            for url in (
                "proxy.example:3128",
                "https://proxy.example:3128",
                "socks5://proxy.example:1080",
                "http://proxy.example",
                "http://proxy.example:3128/path",
                "http://:s3cret@proxy.example:3128",
            )
        ),
        ('proxy = "http://bot:s3/cret@proxy.example:3128"', f"network.proxy: is not a URL. {FIX}"),
        ('proxy_for = ["slack"]', "network.proxy_for: is set without a proxy. Set proxy, or leave proxy_for out."),
        (
            f'{PROXY}\nproxy_for = ["oms"]',
            'network.proxy_for: is not a list of services. Write a list of one or more of "slack", "huawei" and '
            '"vault", or leave it out.',
        ),
        (f"{PROXY}\nproxy_for = []", "network.proxy_for: is not a list of services."),
        ('ca = "/nowhere"', "network.ca: is the path of a file that doesn't exist."),
        ('ca = "{directory}"', "network.ca: is the path of a directory without a certificate."),
        ('ca = "{directory}/bot.toml"', "network.ca: is the path of a file without a certificate."),
        ("https_proxy = 1", "network.https_proxy: is not a setting. Did you mean proxy? Otherwise remove it."),
    ],
)
def test_each_wrong_setting_is_a_problem_without_its_value(
    environ: Environ, tmp_path: Path, lines: str, words: str
) -> None:
    if lines == 'ca = "{directory}"':
        (tmp_path / "empty").mkdir()
        lines = f'ca = "{tmp_path}/empty"'
    found = problems(environ(lines.replace("{directory}", str(tmp_path))))
    assert words in found
    assert "s3" not in found


def test_a_password_needs_a_user_and_is_given_once(environ: Environ) -> None:
    password = {"NETWORK_PROXY_PASSWORD": "s3cret"}
    for lines in ("", PROXY):
        assert problems(environ(lines) | password) == (
            f"NETWORK_PROXY_PASSWORD: is set, but proxy under [network] in bot.toml has no username. {FIX}"
        )
    assert problems(environ('proxy = "http://bot:0ther@proxy.example:3128"') | password) == (
        "NETWORK_PROXY_PASSWORD: is set, and proxy under [network] in bot.toml also has a password. Remove the "
        "password from bot.toml."
    )


def test_ca_is_a_pem_file_or_a_directory_of_pem_files(environ: Environ) -> None:
    assert network(environ(f'ca = "{ROOT}"')).ca == str(ROOT)
    assert network(environ(f'ca = "{ROOT.parent}"')).ca == str(ROOT.parent)


def test_the_european_site_has_addresses_of_its_own(environ: Environ) -> None:
    settings = environ("")
    path = Path(settings["BOT_CONFIG"])
    text = path.read_text(encoding="utf-8").replace('region = "ap-southeast-3"', 'region = "eu-west-101"')
    path.write_text(text, encoding="utf-8")
    media = load(settings).projects["media"]
    assert media.oms_address == "https://oms.eu-west-101.myhuaweicloud.eu"
    assert media.iam_address == "https://iam.eu-west-101.myhuaweicloud.eu"
