"""Certificates, proxies, limits of pace: the network between the tap and the API."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from sandbox import Fault, Journal
from tests.support.raw import http, serve
from tests.support.streams import MOSCOW, REQUESTS, STREAMS, last_error, lines_with
from tests.support.tap import config_for, run_tap

if TYPE_CHECKING:
    from tests.support.streams import Stream
    from tests.support.tap import Run

each_stream = pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
#: In place of what the machine has set; an empty variable counts as unset.
UNSET = dict.fromkeys(
    [
        *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    ],
    "",
)
ONE_DAY: dict[str, Any] = {"start_date": "2024-01-08", "end_date": "2024-01-08"}
JANUARY_8 = datetime(2024, 1, 8, tzinfo=MOSCOW)


def proxied(proxy: str, variable: str = "HTTP_PROXY") -> dict[str, str]:
    """Return an environment with a proxy. In lower case, too, since that overrules."""
    return {**UNSET, variable: proxy, variable.lower(): proxy}


def failed_at_once(run: Run) -> str:
    """Return the one error of a run that made no second try."""
    assert run.returncode == 1, run.stderr
    assert "Traceback" not in run.stderr
    assert "Trying again" not in run.stderr
    assert run.records == []
    return lines_with(run, "ERROR")[-1]


def tls_of(authority: trustme.CA, *names: str, **options: Any) -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **options).configure_cert(tls)
    return tls


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority that no system knows."""
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    """The path of the authority's certificate."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


# What is no HTTP.

PHONE = b"+79990000000"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b'[{"phone": "%b"}]' % PHONE, "BadStatusLine"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n<%b>\r\n" % PHONE,
            "InvalidChunkLength",
        ),
    ],
    ids=["no status", "no chunk"],
)
def test_what_is_no_http_is_not_quoted(tmp_path: Path, answer: bytes, reason: str) -> None:
    settings = {"site_ids": [], "request_numbers": ["1"], "start_date": "2024-01-01"}
    with serve(answer) as server:
        run = run_tap({"api_token": "token", "api_url": server.url, **settings}, tmp_path)
    assert run.returncode == 1
    assert f"the connection failed ({reason})" in last_error(run)
    assert PHONE.decode() not in run.stderr


# Certificates.


@each_stream
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificate_bundle_comes_from_the_environment(
    stream: Stream, authority: trustme.CA, bundle: str, tmp_path: Path, variable: str
) -> None:
    with stream.sandbox(tls=tls_of(authority, "127.0.0.1")) as sandbox:
        assert sandbox.url.startswith("https:")
        run = stream.run(sandbox, tmp_path, environment={**UNSET, variable: bundle})
        whole = stream.records(sandbox)
    assert run.returncode == 0, run.stderr
    assert stream.keys(run.records) == stream.keys(whole)


@pytest.mark.parametrize(
    ("names", "options"),
    [
        (["example.org"], {}),
        (["127.0.0.1"], {"not_after": datetime(2024, 1, 1, tzinfo=timezone.utc)}),
    ],
    ids=["of another host", "expired"],
)
def test_wrong_certificate_is_said_at_once(
    authority: trustme.CA, bundle: str, tmp_path: Path, names: list[str], options: dict[str, Any]
) -> None:
    with REQUESTS.sandbox(tls=tls_of(authority, *names, **options)) as sandbox:
        run = REQUESTS.run(sandbox, tmp_path, environment={**UNSET, "REQUESTS_CA_BUNDLE": bundle})
        assert sandbox.calls == []
    line = failed_at_once(run)
    assert "the certificate is not trusted" in line
    assert "CERTIFICATE_VERIFY_FAILED" in line


@each_stream
def test_certificate_of_an_unknown_authority_is_said_at_once(
    stream: Stream, authority: trustme.CA, tmp_path: Path
) -> None:
    with stream.sandbox(tls=tls_of(authority, "127.0.0.1")) as sandbox:
        run = stream.run(sandbox, tmp_path, environment=UNSET)
        assert sandbox.calls == []
    line = failed_at_once(run)
    assert f"Stream {stream.name}, site 101, window 2024-01-01 to 2024-01-07: " in line
    assert "the certificate is not trusted" in line
    assert "`REQUESTS_CA_BUNDLE`" in line


def test_tls_to_a_server_that_speaks_none_is_said_at_once(tmp_path: Path) -> None:
    with REQUESTS.sandbox() as sandbox:
        url = sandbox.url.replace("http:", "https:")
        run = REQUESTS.run(sandbox, tmp_path, environment=UNSET, api_url=url)
    assert "check `api_url`" in failed_at_once(run)


@pytest.mark.parametrize(
    ("content", "said"),
    # A certificate that is not trusted would be CERTIFICATE_VERIFY_FAILED.
    [
        (None, "bundle.pem. Check `REQUESTS_CA_BUNDLE`"),
        (b"", "[X509"),
        (b"no certificate", "[X509"),
    ],
    ids=["missing", "empty", "text"],
)
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_bundle_that_is_none_is_said_at_once(
    authority: trustme.CA, tmp_path: Path, variable: str, content: bytes | None, said: str
) -> None:
    path = tmp_path / "bundle.pem"
    if content is not None:
        path.write_bytes(content)
    with REQUESTS.sandbox(tls=tls_of(authority, "127.0.0.1")) as sandbox:
        run = REQUESTS.run(sandbox, tmp_path, environment={**UNSET, variable: str(path)})
    line = failed_at_once(run)
    assert "`REQUESTS_CA_BUNDLE`" in line
    assert said in line


# Proxies.


@each_stream
def test_proxy_comes_from_the_environment(stream: Stream, tmp_path: Path) -> None:
    """A server that is called as a proxy gets the whole URL of the API."""
    with stream.sandbox() as sandbox:
        proxy = sandbox.url.removesuffix("/calls-service/RestAPI")
        run = stream.run(
            sandbox,
            tmp_path,
            environment=proxied(proxy),
            api_url="http://calltouch.invalid/calls-service/RestAPI",
        )
        whole = stream.records(sandbox)
        hosts = {call.headers["Host"] for call in sandbox.calls}
    assert run.returncode == 0, run.stderr
    assert stream.keys(run.records) == stream.keys(whole)
    assert hosts == {"calltouch.invalid"}


def test_host_without_proxy_is_called_directly(tmp_path: Path) -> None:
    with REQUESTS.sandbox() as sandbox:
        environment = {**proxied("http://127.0.0.1:1"), "no_proxy": "127.0.0.1"}
        run = REQUESTS.run(sandbox, tmp_path, environment=environment)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    "proxy",
    [
        "http://",
        "http://:3128",
        "http://user:PASSWORD@",
        "http://user:PASSWORD@proxy:port",
        "http://proxy:99999999",
        "http://[::1",
        "ftp://user:PASSWORD@proxy:21",
        "proxy://user:PASSWORD@proxy",
        "://proxy",
        f"http://user:PASSWORD@{'a' * 64}.example",
        "http://user:PASSWORDЖ@proxy",
    ],
)
def test_malformed_address_of_a_proxy_is_said_at_once(tmp_path: Path, proxy: str) -> None:
    variable = "ALL_PROXY" if "@" in proxy else "HTTP_PROXY"
    with REQUESTS.sandbox() as sandbox:
        run = REQUESTS.run(sandbox, tmp_path, environment=proxied(proxy, variable))
        assert sandbox.calls == []
    line = failed_at_once(run)
    assert (
        "the address of the API, of the proxy or of a redirect is malformed; check `api_url` and "
        "`HTTPS_PROXY`"
    ) in line
    assert "PASSWORD" not in run.stderr


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4"])
def test_socks_without_its_library_is_said_at_once(tmp_path: Path, scheme: str) -> None:
    environment = proxied(f"{scheme}://user:PASSWORD@127.0.0.1:1", "ALL_PROXY")
    with REQUESTS.sandbox() as sandbox:
        run = REQUESTS.run(sandbox, tmp_path, environment=environment)
    assert "a SOCKS proxy needs the library PySocks" in failed_at_once(run)
    assert "PASSWORD" not in run.stderr


@pytest.mark.parametrize(
    ("scheme", "before"),
    [
        ("http", "http://user:PASSWORD@"),
        ("https", "http://user:PASSWORD@"),
        ("http", ""),
    ],
    ids=["http", "https", "without a scheme"],
)
def test_proxy_that_refuses_is_tried_again_and_named(
    tmp_path: Path, scheme: str, before: str
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with REQUESTS.sandbox() as sandbox:
            run = REQUESTS.run(
                sandbox,
                tmp_path,
                environment=proxied(f"{before}127.0.0.1:{port}", f"{scheme.upper()}_PROXY"),
                api_url=f"{scheme}://calltouch.invalid",
            )
    assert run.returncode == 1
    assert run.stderr.count(f"the connection to the proxy 127.0.0.1:{port} failed") == 5
    assert "PASSWORD" not in run.stderr


@pytest.mark.parametrize(
    "status", ["407 Proxy Authentication Required", "403 Forbidden", "502 Bad Gateway"]
)
def test_proxy_that_opens_no_tunnel_is_named_at_once(tmp_path: Path, status: str) -> None:
    with serve(http(b"<html>", status=status)) as proxy, REQUESTS.sandbox() as sandbox:
        environment = proxied(f"http://user:PASSWORD@{proxy.address}", "HTTPS_PROXY")
        url = "https://calltouch.invalid"
        run = REQUESTS.run(sandbox, tmp_path, environment=environment, api_url=url)
    line = failed_at_once(run)
    assert f"the proxy {proxy.address} answered {status}. Check `HTTPS_PROXY`." in line
    assert [call.split()[:2] for call in proxy.calls] == [[b"CONNECT", b"calltouch.invalid:443"]]
    assert "PASSWORD" not in run.stderr
    assert "('" not in line


def test_proxy_that_wants_a_password_is_named_over_http_too(tmp_path: Path) -> None:
    answer = http(b"<html>", status="407 Proxy Authentication Required")
    with serve(answer) as proxy, REQUESTS.sandbox() as sandbox:
        environment = proxied(f"http://user:PASSWORD@{proxy.address}")
        url = "http://calltouch.invalid"
        run = REQUESTS.run(sandbox, tmp_path, environment=environment, api_url=url)
    line = failed_at_once(run)
    assert f"the proxy {proxy.address} answered 407. Check `HTTP_PROXY`." in line
    assert len(proxy.calls) == 1
    assert "PASSWORD" not in run.stderr


def test_proxy_that_is_not_set_has_no_name(tmp_path: Path) -> None:
    """The server itself answers like one."""
    answer = http(b"", status="407 Proxy Authentication Required")
    with serve(answer) as server, REQUESTS.sandbox() as sandbox:
        run = REQUESTS.run(sandbox, tmp_path, environment=UNSET, api_url=server.url)
    assert ": the proxy answered 407. Check `HTTP_PROXY`." in failed_at_once(run)


@pytest.mark.parametrize("url", ["http://*.calltouch.ru/", "http://.calltouch.ru/"])
def test_malformed_url_of_the_api_is_said_at_once(tmp_path: Path, url: str) -> None:
    with REQUESTS.sandbox() as sandbox:
        run = REQUESTS.run(sandbox, tmp_path, environment=UNSET, api_url=url)
    assert "`api_url`" in failed_at_once(run)


# Waits.


@each_stream
def test_rejected_call_holds_all_calls_back(stream: Stream, tmp_path: Path) -> None:
    """Some may have been on their way when the API said so."""
    sites = range(1, 9)
    with stream.sandbox([], sites) as sandbox:
        sandbox.faults.append(
            Fault(
                "status",
                status=429,
                headers={"Retry-After": "2"},
                times=1,
                when=lambda _: len(sandbox.calls) >= 4,
            )
        )
        run = stream.run(
            sandbox, tmp_path, environment={"PACE_MARGIN": "2"}, site_ids=[*sites], **ONE_DAY
        )
        calls = [*sandbox.calls]
    assert run.returncode == 0, run.stderr
    assert len(calls) == len(sites) + 1
    rejected = next(number for number, call in enumerate(calls) if call.status == 429)
    late = [call.started - calls[rejected].started > 1.7 for call in calls[rejected + 1 :]]
    assert late.count(False) <= 3  # as many as may be in flight beside it
    assert any(late)


def test_two_taps_at_one_address_both_end(tmp_path: Path) -> None:
    """Five calls a second for both together, and no word on how long to wait."""
    sites = [*range(1, 8)]
    journal = Journal(sites, first_day=JANUARY_8.date(), last_day=JANUARY_8.date(), per_day=3)
    with REQUESTS.sandbox([], sites, per_second=5) as sandbox:
        sandbox.journal, sandbox.call_journal = journal, journal.calls(3)
        config = config_for(sandbox, site_ids=sites, **ONE_DAY)
        (tmp_path / "config.json").write_text(json.dumps(config))
        taps = [
            subprocess.Popen(
                [sys.executable, "-m", "tap_calltouch", "--config", "config.json"],
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            for _ in range(2)
        ]
        outputs = [tap.communicate(timeout=300) for tap in taps]
        calls = len(sandbox.calls)
        records = [*journal.records(), *sandbox.call_journal.records()]
    expected = sum(record["siteId"] in sites for record in records) - 1  # but the vendor's sample
    for tap, (stdout, stderr) in zip(taps, outputs, strict=True):
        assert tap.returncode == 0, stderr.decode()
        assert stdout.count(b'"type":"RECORD"') == expected
    assert sandbox.rejected <= calls / 3  # half, if neither slowed down
