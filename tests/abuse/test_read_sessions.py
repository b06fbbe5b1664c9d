"""Read sessions are small, and a caller has only so many of them, callers without a token together."""

from collections.abc import Iterator

import apsw
import pytest

from tests.api.publishing import Publication
from tests.server_process import ServerProcess

SESSIONS_MAX = 5
VARIABLE_COUNT = 30
# What a session of this table may take in the catalog, however many streams are asked for.
SESSION_BYTES_MAX = 8_192


@pytest.fixture(scope="module")
def publication(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Publication]:
    """A public dataset of a server that takes few sessions, and few bytes of them."""
    server = ServerProcess(
        tmp_path_factory.mktemp("sessions") / "data",
        read_sessions_max=str(SESSIONS_MAX),
        read_session_bytes_max=str(SESSIONS_MAX * SESSION_BYTES_MAX),
    )
    server.start()
    made = Publication(server, public_access_level="data")
    row = {f"variable_{number}": number for number in range(VARIABLE_COUNT)}
    made.publish("answers", "first", [row] * 100)
    made.data_dir = server.data_dir
    yield made
    made.close()
    assert server.stop() == 0
    server.close()


def test_sessions_of_a_caller_are_bounded(publication: Publication) -> None:
    """The next one is refused, anonymous callers take nothing from who has a token, and reads go on."""
    path = f"{publication.table('answers', 'v1.0')}/readSessions"
    body = {"requestedStreamCount": 64}
    for token in ("", None):
        sessions = [publication.ask("POST", path, body, token) for _ in range(SESSIONS_MAX)]
        assert [session.status_code for session in sessions] == [200] * SESSIONS_MAX
        refused = publication.ask("POST", path, body, token)
        assert (refused.status_code, refused.json()["error"]) == (429, "rate_limit_exceeded")
        assert int(refused.headers["Retry-After"]) > 0
        streams = sessions[0].json()["streams"]
        assert len(streams) == 64
        read = [
            publication.ask("GET", f"/readStreams/{stream['id']}?eosSentinel=false", None, token)
            for stream in streams[:3]
        ]
        assert {response.status_code for response in read} == {200}
    catalog = apsw.Connection(str(publication.data_dir / "rowkeep.db"), flags=apsw.SQLITE_OPEN_READONLY)
    rows = catalog.execute(
        "SELECT length(schema) + length(slices) + length(grounds) FROM read_sessions"
    ).fetchall()
    catalog.close()
    assert len(rows) == 2 * SESSIONS_MAX
    assert max(size for (size,) in rows) < SESSION_BYTES_MAX
