"""Within the system calls of deploy/rowkeep.service everything works: inserts, loads, queries, sealing."""

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.api.loading import load, parquet_of
from tests.api.publishing import Publication
from tests.api.querying import QueryClient
from tests.house.sources import ROOT
from tests.server_process import ServerProcess, wait_until
from tests.systemd_unit import allowed_calls

UNIT = ROOT / "deploy" / "rowkeep.service"

# Puts the filter up as systemd does, then becomes the program.
CONFINED = textwrap.dedent(
    """
    import errno, os, sys
    import pyseccomp

    names, *command = sys.argv[1:]
    calls = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.EPERM))
    for name in open(names).read().split():
        try:
            calls.add_rule(pyseccomp.ALLOW, name)
        except (OSError, RuntimeError, ValueError):
            pass  # a call that this machine does not have
    calls.load()
    os.execv(command[0], command)
    """
)


@pytest.mark.long
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed here")
def test_the_service_works_within_its_walls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers still put up all their walls, which takes calls that most services need not have."""
    (tmp_path / "calls").write_text("\n".join(sorted(allowed_calls(UNIT))), encoding="utf-8")
    confine = [sys.executable, "-c", CONFINED, str(tmp_path / "calls")]
    probe = "import os; os.setgroups([])"
    refused = subprocess.run([*confine, sys.executable, "-c", probe], capture_output=True, check=False)
    assert b"Operation not permitted" in refused.stderr
    server = ServerProcess(tmp_path / "data")
    start = subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda command, **options: start([*confine, *command], **options)
    )
    server.start()
    monkeypatch.undo()
    made = Publication(server)
    made.add_table("answers")
    made.add_upload("answers", "live", [{"n": 1}])
    assert load(made, "answers", parquet_of(n=[2, 3]), name="file.parquet")["status"] == "completed"
    found = QueryClient(made.client).rows(f"SELECT sum(n) FROM `{made.reference}:next.answers`")
    assert found == [[6]]
    loaded = len(list((server.data_dir / "segments").iterdir()))
    made.release()
    wait_until(lambda: len(list((server.data_dir / "segments").iterdir())) > loaded)
    made.close()
    assert server.stop() == 0
    assert "walls around workers that this machine cannot put up" not in server.log()
    server.close()
