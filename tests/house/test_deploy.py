"""The files in deploy/ are what systemd understands, and say what the documentation says."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rowkeep.config import Settings
from tests.house.sources import ROOT
from tests.systemd_unit import values_of

DEPLOY = ROOT / "deploy"
UNITS = sorted([*DEPLOY.glob("*.service"), *DEPLOY.glob("*.timer")])
SERVICES = sorted(DEPLOY.glob("*.service"))
# systemd-analyze adds up what a service could do, in tenths; 10 (100 tenths) is everything.
EXPOSURE_TENTHS_MAX = 20
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed here"
)
# What it takes to read or change other files, gain rights or see others' processes.
WALLS = {
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectProc=invisible",
    "RestrictNamespaces=yes",
    "SystemCallArchitectures=native",
    "UMask=0077",
    "User=rowkeep",
}


@needs_systemd
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say, but for the program, which is put in its place here."""
    for unit in UNITS:
        text = unit.read_text(encoding="utf-8").replace("/opt/rowkeep/bin/rowkeep", sys.executable)
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", *(tmp_path / unit.name for unit in UNITS)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_services_can_do_little(unit: Path) -> None:
    """`systemd-analyze security` finds less than it calls medium."""
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_TENTHS_MAX}", unit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_services_have_the_walls(unit: Path) -> None:
    """Without systemd too: the lines that keep a service to itself are there."""
    assert WALLS - set(unit.read_text(encoding="utf-8").splitlines()) == set()


def test_units_name_what_there_is() -> None:
    """Settings in the environment exist; both services open one data directory; the timer has its service."""
    names = {f"ROWKEEP_{name.upper()}" for name in Settings.__struct_fields__}
    for unit in SERVICES:
        settings = dict(value.split("=", 1) for value in values_of(unit, "Environment"))
        assert set(settings) <= names
        assert settings["ROWKEEP_DATA_DIR"] == f"/var/lib/{values_of(unit, 'StateDirectory')[0]}"
    for timer in DEPLOY.glob("*.timer"):
        assert timer.with_suffix(".service").exists()


def test_the_container_installs_by_hash_and_runs_as_nobody_special() -> None:
    """It installs the lock files by hash, has a user of its own, and keeps data in a volume."""
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    assert "--require-hashes --requirement requirements/build.txt" in text
    assert re.search(r"^USER (?!root)\w+", text, re.MULTILINE)
    assert "VOLUME /data" in text
    assert "ROWKEEP_DATA_DIR=/data" in text
