"""HTTPS with a real certificate; what proxies say counts from trusted ones alone; nginx in front."""

import json
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from rowkeep.api.http.forwarded import trusted_networks
from rowkeep.server import free_port
from tests import plain_http
from tests.api.stream import Stream
from tests.command_line import run
from tests.house.sources import ROOT
from tests.server_process import ServerProcess, wait_until


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of this machine that has signed itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    made = folder / "certificate.pem", folder / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    files = ["-nodes", "-days", "2", "-out", str(made[0]), "-keyout", str(made[1])]
    subprocess.run([*command, *files, *subject], check=True, capture_output=True)
    return made


@pytest.fixture(scope="module")
def secure(
    certificate: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """A server that speaks HTTPS, and believes a proxy on this machine."""
    started = ServerProcess(
        tmp_path_factory.mktemp("secure") / "data",
        tls_certificate=str(certificate[0]),
        tls_key=str(certificate[1]),
    )
    started.start()
    yield started
    assert started.stop() == 0
    started.close()


def client_of(server: ServerProcess, certificate: Path, version: ssl.TLSVersion) -> httpx.Client:
    """A client that believes this certificate alone, and speaks one version of TLS."""
    context = ssl.create_default_context(cafile=str(certificate))
    context.maximum_version = context.minimum_version = version
    headers = {"Authorization": f"Bearer {server.token}"}
    return httpx.Client(base_url=server.url, verify=context, headers=headers, timeout=60, trust_env=False)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_it_speaks_https(
    secure: ServerProcess, certificate: tuple[Path, Path], version: ssl.TLSVersion
) -> None:
    """Its own address begins with https, rows go in and come out, and answers name https addresses."""
    assert secure.url.startswith("https://")
    with client_of(secure, certificate[0], version) as client:
        name = f"tls_{version.value}"
        client.post(f"/users/{secure.user}/datasets", json={"name": name}).raise_for_status()
        table = f"/tables/{secure.user}.{name}.t"
        client.post(f"/datasets/{secure.user}.{name}/tables", json={"name": "t"}).raise_for_status()
        client.post(f"{table}/uploads", json={"name": "u", "type": "stream"}).raise_for_status()
        client.post(f"{table}/uploads/u/rows", json={"rows": [{"n": 1}]}).raise_for_status()
        assert json.loads(client.get(f"{table}/rows").text) == {"n": 1}
        files = {"tempUploads": [{"name": "a.csv", "size": 1, "resumable": False}]}
        sent = client.post(f"{table}/tempUploads", json=files).json()
        assert sent["results"][0]["url"].startswith("https://127.0.0.1:")


def test_it_speaks_nothing_else(secure: ServerProcess) -> None:
    """Plain HTTP gets no answer, and a certificate that nobody vouches for is refused by clients."""
    plain = secure.url.replace("https://", "http://")
    with pytest.raises(httpx.HTTPError):
        plain_http.get(f"{plain}/users/me")
    with pytest.raises(httpx.ConnectError):
        plain_http.get(f"{secure.url}/users/me")


def test_a_pair_that_does_not_fit_is_refused(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    """A missing file, a file that is no certificate, one without the other: refused in words."""
    made, key = map(str, certificate)
    data = str(tmp_path / "data")
    (tmp_path / "text.pem").write_text("no certificate")
    for pair in ((made, str(tmp_path / "absent.pem")), (str(tmp_path / "text.pem"), key), (key, made)):
        done = run("serve", "--data-dir", data, "--tls-certificate", pair[0], "--tls-key", pair[1])
        assert done.returncode == 1
        assert "cannot be used" in done.stderr
    done = run("serve", "--data-dir", data, "--tls-certificate", made)
    assert "go together" in done.stderr


def test_plain_http_beyond_this_machine_is_said_aloud(tmp_path: Path) -> None:
    """On stderr and in the log; on this machine alone nothing is said."""
    server = ServerProcess(tmp_path / "data", host="0.0.0.0")
    server.start()
    assert server.stop() == 0
    server.close()
    assert "rowkeep: WARNING: it listens on 0.0.0.0 without TLS" in server.log()
    assert '"event": "no TLS"' in server.log()


def test_nothing_is_said_on_this_machine(server: ServerProcess) -> None:
    """Where only this machine can connect there is nothing to warn of."""
    assert "TLS" not in server.log().replace("tls_", "")


def audited_address(server: ServerProcess, origin: str, **headers: str) -> str:
    """The address that the audit log has of a request."""
    authorized = {"Authorization": f"Bearer {server.token}", **headers}
    name = f"proxied_{time.time_ns()}"
    url = f"{origin}/api/v1/users/{server.user}/datasets"
    plain_http.post(url, json={"name": name}, headers=authorized).raise_for_status()
    page = plain_http.get(f"{origin}/api/v1/audit?maxResults=1", headers=authorized).json()
    (entry,) = page["results"]
    assert entry["subject"] == f"{server.user}.{name}"
    return str(entry["address"])


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that believes proxies on this machine and in one network."""
    started = ServerProcess(
        tmp_path_factory.mktemp("behind") / "data", trusted_proxies="127.0.0.1, 10.0.0.0/8"
    )
    started.start()
    yield started
    started.close()


@pytest.mark.parametrize(
    ("said", "believed"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7", "203.0.113.7"),  # the first was made up by the client
        ("203.0.113.7, 10.1.2.3", "203.0.113.7"),  # two proxies, one after the other
        ("203.0.113.7:1234", "203.0.113.7"),
        ("[2001:db8::7]:1234, 10.0.0.1", "2001:db8::7"),
        ("10.0.0.1, 10.0.0.2", "10.0.0.1"),
        ("203.0.113.7, nonsense", "127.0.0.1"),
        ("nonsense, 203.0.113.7", "203.0.113.7"),
        ("", "127.0.0.1"),
    ],
)
def test_a_trusted_proxy_tells_the_address(behind: ServerProcess, said: str, believed: str) -> None:
    """The last address that is no trusted proxy is the client's, whatever stands before it."""
    origin = behind.url.removesuffix("/api/v1")
    assert audited_address(behind, origin, **{"X-Forwarded-For": said}) == believed


def test_nobody_else_tells_anything(server: ServerProcess) -> None:
    """Without a trusted proxy the headers mean nothing: neither address nor host nor scheme."""
    origin = server.url.removesuffix("/api/v1")
    headers = {
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
    }
    assert audited_address(server, origin, **headers) == "127.0.0.1"
    assert temp_upload_url(server, headers).startswith("http://127.0.0.1:")


def test_a_trusted_proxy_tells_host_and_scheme(behind: ServerProcess) -> None:
    """Addresses in answers are those at which the client found the proxy; odd ones are passed over."""
    headers = {"X-Forwarded-Host": "data.example.org", "X-Forwarded-Proto": "https"}
    assert temp_upload_url(behind, headers).startswith("https://data.example.org/")
    odd = {"X-Forwarded-Host": "evil.example/path?", "X-Forwarded-Proto": "javascript"}
    assert temp_upload_url(behind, odd).startswith("http://127.0.0.1:")


def temp_upload_url(server: ServerProcess, headers: dict[str, str]) -> str:
    """Where a client is told to send a file."""
    stream = Stream(server.url, server.token, None, server.user)
    files = {"tempUploads": [{"name": "a.csv", "size": 1, "resumable": False}]}
    answer = stream.client.post(f"{stream.table_uri}/tempUploads", json=files, headers=headers)
    stream.close()
    return str(answer.json()["results"][0]["url"])


def test_networks_are_checked(tmp_path: Path) -> None:
    """What is no address and no network is refused at the start, by its name."""
    assert len(trusted_networks("127.0.0.1, ::1,10.0.0.0/8")) == 3
    done = run("serve", "--data-dir", str(tmp_path / "data"), "--trusted-proxies", "proxy.example.org")
    assert done.returncode == 1
    assert "trusted_proxies must be addresses and networks" in done.stderr


@pytest.fixture
def nginx(behind: ServerProcess, certificate: tuple[Path, Path], tmp_path: Path) -> Iterator[str]:
    """nginx with the example's configuration, in front of a server; where it listens."""
    port = free_port("127.0.0.1", 0)
    text = (ROOT / "deploy" / "proxies" / "nginx.conf").read_text(encoding="utf-8")
    upstream = behind.url.removeprefix("http://").removesuffix("/api/v1")
    exchanged = {
        "server 127.0.0.1:8080;": f"server {upstream};",
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "/etc/ssl/rowkeep/certificate.pem": str(certificate[0]),
        "/etc/ssl/rowkeep/key.pem": str(certificate[1]),
    }
    for before, after in exchanged.items():
        assert text.count(before) == 1
        text = text.replace(before, after)
    bodies = "\n".join(f"{name}_temp_path {tmp_path}/{name};" for name in ("client_body", "proxy", "fastcgi"))
    more = "\n".join(f"{name}_temp_path {tmp_path}/{name};" for name in ("uwsgi", "scgi"))
    whole = (
        f"daemon off;\npid {tmp_path}/pid;\nerror_log {tmp_path}/errors;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{bodies}\n{more}\n{text}\n}}\n"
    )
    (tmp_path / "nginx.conf").write_text(whole, encoding="utf-8")
    command = [
        "/usr/sbin/nginx",
        "-p",
        str(tmp_path),
        "-e",
        f"{tmp_path}/errors",
        "-c",
        f"{tmp_path}/nginx.conf",
    ]
    process = subprocess.Popen(command)
    wait_until(lambda: answers(port))
    yield f"https://127.0.0.1:{port}"
    process.terminate()
    process.wait(timeout=30)


def answers(port: int) -> bool:
    """Whether something listens at a port."""
    try:
        plain_http.get(f"http://127.0.0.1:{port}/")
    except httpx.TransportError:
        return False
    return True


def test_the_example_of_nginx(nginx: str, behind: ServerProcess, certificate: tuple[Path, Path]) -> None:
    """Rows go in and out over HTTPS; large bodies and followers pass; operators' paths do not."""
    context = ssl.create_default_context(cafile=str(certificate[0]))
    headers = {"Authorization": f"Bearer {behind.token}"}
    with httpx.Client(base_url=f"{nginx}/api/v1", verify=context, headers=headers, trust_env=False) as client:
        client.post(f"/users/{behind.user}/datasets", json={"name": "proxied"}).raise_for_status()
        table = f"/tables/{behind.user}.proxied.t"
        client.post(f"/datasets/{behind.user}.proxied/tables", json={"name": "t"}).raise_for_status()
        client.post(f"{table}/uploads", json={"name": "u", "type": "stream"}).raise_for_status()
        large = [{"text": "x" * 1_000} for _ in range(5_000)]  # more than nginx takes by default
        assert client.post(f"{table}/uploads/u/rows", json={"rows": large}).status_code == 201
        with client.stream("GET", f"{table}/rows?follow=true&tail=1") as lines:
            assert any('"text"' in line for line in lines.iter_lines())  # it ends with the row
        files = {"tempUploads": [{"name": "a.csv", "size": 1, "resumable": False}]}
        forged = {"X-Forwarded-For": "203.0.113.7"}
        url = client.post(f"{table}/tempUploads", json=files, headers=forged).json()["results"][0]["url"]
        assert url.startswith(f"{nginx}/")
        assert {entry["address"] for entry in client.get("/audit?maxResults=1").json()["results"]} == {
            "127.0.0.1"
        }
        for path in ("/metrics", "/readyz"):
            assert client.get(f"{nginx}{path}").status_code == 404
        assert client.get(f"{nginx}/healthz").status_code == 200


def test_the_example_of_caddy() -> None:
    """It passes answers on as they come, and keeps what is the operators' from the public."""
    text = (ROOT / "deploy" / "proxies" / "Caddyfile").read_text(encoding="utf-8")
    for needed in (
        "reverse_proxy 127.0.0.1:8080",
        "flush_interval -1",
        "/metrics /readyz",
        "--trusted-proxies",
    ):
        assert needed in text
