"""What docs/clients.md says that the official client prints."""

import re
import subprocess
import sys

from tests.house.sources import ROOT

PAGE = re.sub(r"\s+", " ", (ROOT / "docs" / "clients.md").read_text(encoding="utf-8"))
ASKED_FOR_A_TOKEN = "from redivis.common.auth import get_auth_token; print(get_auth_token())"


def said_interactively(*lines: str) -> str:
    """What an interactive session prints when the client looks for its token."""
    script = "; ".join(["import os", 'os.environ["REDIVIS_API_TOKEN"] = "x"', *lines, ASKED_FOR_A_TOKEN])
    done = subprocess.run(
        [sys.executable, "-i", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    return re.sub(r"\s+", " ", done.stdout + done.stderr)


def test_the_warning_about_tokens() -> None:
    """The page quotes it, and its line silences it."""
    [quoted] = re.findall(r"`(Setting the REDIVIS_API_TOKEN [^`]+)`", PAGE)
    [silencing] = re.findall(r"`(import warnings; [^`]+)`", PAGE)
    assert quoted in said_interactively()
    assert quoted not in said_interactively(silencing)
