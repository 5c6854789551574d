"""A bot behind an HTTP proxy: what goes through it, and how its failures are named and waited out."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bot.check.run import run_checks
from bot.config.settings import load
from bot.sandbox.slack.ids import CAROL
from bot.sandbox.system import Sandbox
from tests.support.proxy import ConnectProxy, proxying
from tests.support.relay import Forgetting, relaying
from tests.support.sandbox import create_request, put_calls, wait_for_accepted, wait_for_text

PASSWORD = "pr0xy-password"
ALL = '["slack", "huawei", "vault"]'


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    with proxying() as running:
        running.credentials = f"bot:{PASSWORD}"
        yield running


@pytest.fixture
def behind(proxy: ConnectProxy, new_sandbox: Callable[..., Sandbox]) -> Callable[..., Sandbox]:
    """Builds a sandbox whose bot has the proxy, for these services or by default.

    Arguments:
        port: where the bot finds the proxy, if a relay is in front of it.
    """

    def build(services: str = "", port: int = proxy.port) -> Sandbox:
        sandbox = new_sandbox()
        lines = f'[network]\nproxy = "http://bot@127.0.0.1:{port}"\n'
        with (sandbox.directory / "bot.toml").open("a", encoding="utf-8") as toml:
            toml.write(lines + (f"proxy_for = {services}\n" if services else ""))
        sandbox.extra_environment = {"NETWORK_PROXY_PASSWORD": PASSWORD}
        return sandbox

    return build


def addresses(sandbox: Sandbox) -> dict[str, str]:
    urls = {"slack": sandbox.slack.api_url, "oms": sandbox.oms.server.url, "vault": sandbox.vault.url}
    return {name: url.split("/")[2] for name, url in urls.items()}


def test_slack_and_huawei_cloud_are_called_through_the_proxy_and_vault_is_not(
    proxy: ConnectProxy, behind: Callable[..., Sandbox]
) -> None:
    sandbox = behind()
    sandbox.start_bot()
    card = create_request(sandbox)
    sandbox.people.press(CAROL, card, "approve")
    wait_for_accepted(sandbox, card)
    address = addresses(sandbox)
    assert set(proxy.asked) == {address["slack"], address["oms"]}
    assert PASSWORD not in sandbox.log()


def test_an_approved_request_waits_for_a_proxy_that_refuses(
    proxy: ConnectProxy, behind: Callable[..., Sandbox]
) -> None:
    with relaying(proxy.port, Forgetting.RESET) as relay:
        sandbox = behind('["huawei"]', relay.port)
        sandbox.start_bot()
        card = create_request(sandbox)
        proxy.credentials = "bot:another"
        relay.forget()
        sandbox.people.press(CAROL, card, "approve")
        wait_for_text(
            sandbox, card, f"the proxy 127.0.0.1:{relay.port} rejects the bot's username and password, HTTP 407"
        )
        wait_for_text(
            sandbox, card, "Correct the username in proxy under [network] in bot.toml, and NETWORK_PROXY_PASSWORD."
        )
        assert put_calls(sandbox) == []
        proxy.credentials = f"bot:{PASSWORD}"
        wait_for_accepted(sandbox, card)
        assert len(put_calls(sandbox)) == 1


def test_check_goes_through_the_proxy_to_every_listed_service(
    proxy: ConnectProxy, behind: Callable[..., Sandbox]
) -> None:
    sandbox = behind(ALL)
    findings = list(run_checks(load(sandbox.environment())))
    assert [str(finding) for finding in findings if not finding.is_ok] == []
    assert set(proxy.asked) == set(addresses(sandbox).values())


def test_check_names_a_proxy_that_refuses(proxy: ConnectProxy, behind: Callable[..., Sandbox]) -> None:
    sandbox = behind()
    proxy.answer = b"HTTP/1.1 403 Forbidden\r\n\r\n"
    lines = [str(finding) for finding in run_checks(load(sandbox.environment()))]
    named = f"the proxy 127.0.0.1:{proxy.port} doesn't allow connections to "
    fix = "Fix: {}sk the proxy's administrator to allow them"
    slack, oms = sandbox.slack.api_url, sandbox.oms.server.url
    assert (
        f"FAIL  Slack: can't be reached, because {named}{slack.split('/')[2]}, HTTP 403 (ProxyError). {fix.format('a')}"
    ) in lines
    assert (
        f"FAIL  project media, OMS {oms}: The bot couldn't reach OMS at {oms} ({named}{oms.split('/')[2]}, HTTP 403). "
        + fix.format("A")
    ) in lines
    assert not [line for line in lines if PASSWORD in line]
