"""The image that the Containerfile makes serves, keeps its data in the volume, and ends in order."""

import shutil
import subprocess
import uuid
from collections.abc import Iterator

import pytest

from tests.house.sources import ROOT
from tests.plain_http import request
from tests.server_process import wait_until

BUILDERS = ("podman", "docker")
PULL_SECONDS_MAX = 120


def output(*command: str, seconds_max: float = 600) -> subprocess.CompletedProcess[str]:
    """A command of a builder, run to its end."""
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds_max, check=False)


@pytest.fixture(scope="module")
def image() -> Iterator[tuple[str, str]]:
    """A builder that works here, and the image that it made of the Containerfile."""
    present = [name for name in BUILDERS if shutil.which(name)]
    working = [name for name in present if output(name, "info", seconds_max=60).returncode == 0]
    if not working:
        pytest.skip(f"no builder of images works here; found {', '.join(present) or 'none'}")
    builder, tag = working[0], f"rowkeep-test-{uuid.uuid4().hex[:8]}"
    (base,) = [
        line.partition("=")[2]
        for line in (ROOT / "Containerfile").read_text(encoding="utf-8").splitlines()
        if line.startswith("ARG ROWKEEP_PYTHON_IMAGE=")
    ]
    if output(builder, "pull", base, seconds_max=PULL_SECONDS_MAX).returncode != 0:
        pytest.skip(f"{builder} cannot fetch {base} here")
    built = output(builder, "build", "--file", str(ROOT / "Containerfile"), "--tag", tag, str(ROOT))
    assert built.returncode == 0, built.stderr
    yield builder, tag
    output(builder, "image", "rm", "--force", tag)


@pytest.mark.long
def test_the_image_serves(image: tuple[str, str]) -> None:
    """It is ready, takes rows, keeps them when the container is gone, and stops with status 0."""
    builder, tag = image
    name = volume = tag
    run = [builder, "run", "--detach", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]
    run += ["--name", name, "--volume", f"{volume}:/data", "--publish", "127.0.0.1::8080", tag]
    token = ""
    try:
        for start in range(2):
            assert output(*run).returncode == 0
            place = output(builder, "port", name, "8080").stdout.split()[-1]
            url = f"http://{place}/api/v1"
            wait_until(lambda: "listening on" in output(builder, "logs", name).stdout)
            if not start:
                assert output(builder, "exec", name, "rowkeep", "user", "create", "ada").returncode == 0
                made = output(builder, "exec", name, "rowkeep", "token", "create", "--user", "ada")
                token = made.stdout.strip()
            me = request("GET", f"{url}/users/me", headers={"Authorization": f"Bearer {token}"})
            assert me.json()["name"] == "ada"
            assert output(builder, "stop", name).returncode == 0
            ended = output(builder, "inspect", "--format", "{{.State.ExitCode}}", name)
            assert ended.stdout.strip() == "0"
            output(builder, "rm", name)
    finally:
        output(builder, "rm", "--force", name)
        output(builder, "volume", "rm", "--force", volume)
