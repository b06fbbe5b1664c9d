"""The data directory and its copies are their owner's alone, whatever the umask of whoever starts the server.

The folder is closed to others, and so is each file and folder in it.
"""

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.api.stream import Stream
from tests.command_line import rowkeep
from tests.server_process import ServerProcess, wait_until

GROUP_AND_OTHERS = 0o077


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """What is made meanwhile, by this process or by those it starts, has this umask."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def open_to_others(paths: list[Path]) -> dict[str, str]:
    """What anybody but the owner may read, write or enter."""
    modes = {path.name: path.stat().st_mode for path in paths}
    return {name: stat.filemode(mode) for name, mode in modes.items() if mode & GROUP_AND_OTHERS}


@pytest.mark.parametrize("mask", [0o000, 0o022])
def test_a_data_directory(tmp_path: Path, mask: int) -> None:
    """Its folder, segments, lock and spooled bodies; a backup of it, and what was restored from that."""
    with umask(mask):
        folders = [tmp_path / "new" / "data", tmp_path / "backup", tmp_path / "restored"]
        rowkeep("user", "create", "ada", data_dir=folders[0])
        server = ServerProcess(tmp_path / "served", seal_bytes_min="1")
        server.start()
        stream = Stream(server.url, server.token, None, server.user)
        stream.insert({"rows": [{"n": 1}], "updateSchema": True})
        segments, spool = server.data_dir / "segments", server.data_dir / "spool"
        wait_until(lambda: any(segments.glob("*.parquet")))
        spooled: list[Path] = []
        sent = threading.Event()

        def slowly() -> Iterator[bytes]:
            yield b'{"rows":[' + b" " * 3_000_000
            wait_until(lambda: any(spool.iterdir()))
            spooled.extend(spool.iterdir())
            assert open_to_others(spooled) == {}
            sent.set()
            yield b'{"n":2}]}'

        headers = {"Content-Type": "application/json"}
        answer = stream.client.post(f"{stream.upload_uri}/rows", content=slowly(), headers=headers)
        assert answer.status_code == 201
        assert sent.is_set()
        assert open_to_others([server.data_dir, *server.data_dir.rglob("*")]) == {}
        rowkeep("backup", str(folders[1]), data_dir=server.data_dir)
        stream.close()
        assert server.stop() == 0
        server.close()
        rowkeep("restore", str(folders[1]), data_dir=folders[2])
    assert open_to_others([path for folder in folders for path in (folder, *folder.rglob("*"))]) == {}
