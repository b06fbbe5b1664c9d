"""The command line: what an operator creates, and what they are told when it cannot be."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from rowkeep import __version__
from rowkeep.config import Settings
from rowkeep.model.access import DEFAULT_SCOPES, Scope
from rowkeep.storage.sqlite import SqliteDatabase
from tests import plain_http
from tests.api.stream import Stream
from tests.command_line import refusal, rowkeep, run
from tests.server_process import ServerProcess


def run_process(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Runs a command as a shell does, whatever becomes of it."""
    return subprocess.run(
        [sys.executable, "-m", "rowkeep", *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def whoami(server: ServerProcess, token: str) -> httpx.Response:
    """Asks the server whose token this is."""
    headers = {"Authorization": f"Bearer {token}"}
    return plain_http.get(f"{server.url}/users/me", headers=headers)


@pytest.fixture
def stream(server: ServerProcess) -> Iterator[Stream]:
    """A stream of the server's user."""
    made = Stream(server.url, server.token, None, server.user)
    yield made
    made.close()


def insert(stream: Stream, token: str) -> httpx.Response:
    """Inserts a row with a token."""
    return stream.insert({"rows": [{"name": "Jane"}]}, Authorization=f"Bearer {token}")


def new_token(server: ServerProcess, *options: str) -> str:
    """A token of the server's user, created while the server runs."""
    return rowkeep("token", "create", "--user", server.user, *options, data_dir=server.data_dir)


def test_names_are_checked(tmp_path: Path) -> None:
    """A user's name is printed when it was created, and refused when it is taken or not a name."""
    assert rowkeep("user", "create", "ada_1", data_dir=tmp_path) == "ada_1"
    assert "taken" in refusal("user", "create", "ADA_1", data_dir=tmp_path)
    assert "taken" in refusal("organization", "create", "Ada_1", "--admin", "ada_1", data_dir=tmp_path)
    for name in ("", "a b", "a.b", "é", "x" * 65):
        assert "letters, digits and _" in refusal("user", "create", name, data_dir=tmp_path)
    for name in ("me", "ME", "public"):
        assert "is reserved" in refusal("user", "create", name, data_dir=tmp_path)
        assert "is reserved" in refusal("organization", "create", name, "--admin", "ada_1", data_dir=tmp_path)


def test_organization_needs_an_administrator(tmp_path: Path) -> None:
    """An organization is created with a user who exists, and nothing is created without."""
    create = ("organization", "create", "lab", "--admin", "ada")
    rowkeep("user", "create", "eve", data_dir=tmp_path)
    assert "There is no user ada" in refusal(*create, data_dir=tmp_path)
    rowkeep("user", "create", "ada", data_dir=tmp_path)
    assert rowkeep(*create, data_dir=tmp_path) == "lab"
    assert "There is no user lab" in refusal("token", "create", "--user", "lab", data_dir=tmp_path)


def test_token_is_printed_alone_and_works_at_once(server: ServerProcess) -> None:
    """A token created while the server runs is the whole output, and the next request may use it."""
    token = new_token(server)
    assert len(token) >= 43
    assert token.split() == [token]
    assert whoami(server, token).json()["name"] == server.user


def test_token_itself_is_not_stored(server: ServerProcess, stream: Stream) -> None:
    """Who reads the data directory finds no token in it."""
    token = new_token(server)
    assert insert(stream, token).status_code == 201
    for file in server.data_dir.rglob("*"):
        if file.is_file():
            assert token.encode() not in file.read_bytes()


def test_token_has_the_scopes_that_clients_ask_for(server: ServerProcess) -> None:
    """Without --scope a token has the default scopes, with it exactly those."""
    new_token(server)
    new_token(server, "--scope", "data.data", "--scope", "workflow.read")
    lines = rowkeep("token", "list", data_dir=server.data_dir).splitlines()
    assert lines[-2].endswith(" ".join(DEFAULT_SCOPES))
    assert lines[-1].endswith("data.data workflow.read")


def test_scope_limits_the_token(server: ServerProcess, stream: Stream) -> None:
    """A token without data.edit may not insert, and is told which scope it lacks."""
    refused = insert(stream, new_token(server, "--scope", "data.data"))
    assert refused.status_code == 403
    assert (refused.json()["error"], refused.json()["scope"]) == ("insufficient_scope", "data.edit")


def test_token_options_are_checked(server: ServerProcess) -> None:
    """An unknown scope, duration or user is named, with what would be right."""
    create = ("token", "create", "--user", server.user)
    said = refusal(*create, "--scope", "data.write", data_dir=server.data_dir)
    assert "data.write" in said
    assert all(scope in said for scope in Scope)
    assert "would never work" in refusal(*create, "--expires", "0m", data_dir=server.data_dir)
    for text in ("soon", "30", "-1d", "1.5h", "3y"):
        said = refusal(*create, f"--expires={text}", data_dir=server.data_dir)
        assert text in said
        assert "30d, 12h or 45m" in said
    assert "nobody" in refusal("token", "create", "--user", "nobody", data_dir=server.data_dir)


def test_token_expires(server: ServerProcess) -> None:
    """A token past its time is refused, one before it is not."""
    assert whoami(server, new_token(server, "--expires", "1m")).status_code == 200
    expired = new_token(server, "--expires", "1m")
    database = SqliteDatabase(server.data_dir / "rowkeep.db")
    with database.writing() as connection:
        connection.raw.execute("UPDATE tokens SET expires_at = 1 WHERE id = (SELECT max(id) FROM tokens)")
    database.close()
    refused = whoami(server, expired)
    assert refused.status_code == 401
    assert "expired" in refused.json()["error_description"]


def test_revoked_token_is_refused_on_the_next_request(server: ServerProcess, stream: Stream) -> None:
    """Revoking takes effect at once, also for a token that the server has just let insert."""
    token = new_token(server, "--expires", "30d")
    assert insert(stream, token).status_code == 201
    line = rowkeep("token", "list", data_dir=server.data_dir).splitlines()[-1]
    assert "valid" in line
    assert token not in line
    identifier = line.split()[0]
    rowkeep("token", "revoke", identifier, data_dir=server.data_dir)
    refused = insert(stream, token)
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_token")
    assert whoami(server, token).status_code == 401
    assert "revoked" in rowkeep("token", "list", data_dir=server.data_dir).splitlines()[-1]
    assert identifier in refusal("token", "revoke", identifier, data_dir=server.data_dir)


def test_data_dir_comes_from_the_environment(tmp_path: Path) -> None:
    """ROWKEEP_DATA_DIR stands for --data-dir."""
    made = run("user", "create", "ada", ROWKEEP_DATA_DIR=str(tmp_path / "data"))
    assert made.returncode == 0
    assert (tmp_path / "data" / "rowkeep.db").exists()


def test_data_dir_that_is_a_file(tmp_path: Path) -> None:
    """A data directory that cannot be one is an error in one line, and a line of the log."""
    (tmp_path / "data").touch()
    done = run_process("serve", "--data-dir", str(tmp_path / "data"))
    assert (done.returncode, done.stdout) == (1, "")
    logged, line = done.stderr.splitlines()
    assert json.loads(logged)["event"] == "start refused"
    assert line.startswith("rowkeep: ")
    assert str(tmp_path / "data") in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "eighty"),
        ("port", "65536"),
        ("log_level", "loud"),
        ("body_stall_seconds_max", "0"),
        ("queue_wait_seconds_max", "nan"),
        ("readers_max", "-1"),
        ("workers", "0"),
        ("workers", "2"),
    ],
)
def test_setting_that_cannot_be(name: str, value: str, tmp_path: Path) -> None:
    """A setting of the wrong kind, or one that would break a promise, stops the start and is named."""
    done = run("serve", "--data-dir", str(tmp_path), **{f"ROWKEEP_{name.upper()}": value})
    assert done.returncode == 1
    assert done.stdout == ""
    logged, line = done.stderr.splitlines()
    assert json.loads(logged)["event"] == "start refused"
    assert name in line


def test_help_names_every_setting() -> None:
    """`serve --help` lists each setting as an option and as a variable."""
    text = run("serve", "--help").stdout.replace("\n", " ")
    for name in Settings.__struct_fields__:
        assert f"--{name.replace('_', '-')}" in text
        assert f"ROWKEEP_{name.upper()}]" in text


def test_version() -> None:
    """`rowkeep --version` says the version, as a process."""
    done = run_process("--version")
    assert (done.returncode, done.stdout) == (0, f"rowkeep, version {__version__}\n")


def test_a_failure_as_a_shell_sees_it(tmp_path: Path) -> None:
    """As a process, a command that fails ends with status 1, one line on stderr and nothing on stdout."""
    rowkeep("user", "create", "ada", data_dir=tmp_path)
    done = run_process("token", "create", "--user", "nobody", "--data-dir", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "rowkeep: There is no user nobody.\n"
