"""Builds the wheels of rowkeep and of rowkeep-client, the thin one that only talks to a server.

Run by scripts/build as `build_wheels.py FOLDER`. Both are made of the one tree in src/. The thin one has the
command line, `rowkeep.client`, and those commands that need no library beyond its own dependencies, with what
they import.
"""

import ast
import shutil
import subprocess
import sys
import tempfile
import tomllib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
CLIENT = ROOT / "packages" / "client"
ENTRIES = ("rowkeep.__main__", "rowkeep.cli")


def file_of(module: str) -> Path | None:
    """The file of a module of rowkeep; None for a name that is none."""
    path = SOURCE.joinpath(*module.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


@cache
def imports_of(file: Path) -> frozenset[str]:
    """The dotted names that a file imports: modules, and names in modules."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def reach(modules: list[str]) -> tuple[set[Path], set[str]]:
    """The files of rowkeep that modules need, themselves too, and the other packages that those import."""
    files: set[Path] = set()
    others: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module.partition(".")[0] != "rowkeep":
            others.add(module.partition(".")[0])
            continue
        parents = module.split(".")
        for depth in range(1, len(parents) + 1):
            file = file_of(".".join(parents[:depth]))
            if file is not None and file not in files:
                files.add(file)
                waiting += imports_of(file)
    return files, others - set(sys.stdlib_module_names)


def client_files(dependencies: set[str]) -> set[Path]:
    """The files of the thin package, which import nothing but its dependencies."""
    modules = [*ENTRIES, *(module_of(file) for file in (SOURCE / "rowkeep" / "client").rglob("*.py"))]
    commands = [module_of(file) for file in (SOURCE / "rowkeep" / "commands").glob("*.py")]
    modules += [command for command in commands if reach([command])[1] <= dependencies]
    files, others = reach(modules)
    if not others <= dependencies:
        raise SystemExit(f"rowkeep-client would need {sorted(others - dependencies)} too")
    return files


def module_of(file: Path) -> str:
    """The dotted name of a file of rowkeep."""
    parts = file.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def stage_client(folder: Path) -> None:
    """Lays the thin package's project into a folder."""
    project = tomllib.loads((CLIENT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {asked.partition(">")[0] for asked in project["dependencies"]}
    for file in client_files(names):
        target = folder / "src" / file.relative_to(SOURCE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    shutil.copyfile(SOURCE / "rowkeep" / "py.typed", folder / "src" / "rowkeep" / "py.typed")
    for file in (CLIENT / "pyproject.toml", CLIENT / "README.md", ROOT / "LICENSE"):
        shutil.copyfile(file, folder / file.name)


def stage_server(folder: Path) -> None:
    """Lays the whole project into a folder, without what earlier builds left beside it."""
    shutil.copytree(SOURCE, folder / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, folder / name)


def main() -> None:
    """Builds both into the folder that was named."""
    target = Path(sys.argv[1]).resolve()
    for stage in (stage_server, stage_client):
        with tempfile.TemporaryDirectory(prefix="rowkeep-build-") as name:
            stage(Path(name))
            wheel = ["wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", str(target), name]
            subprocess.run(
                [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *wheel], check=True
            )
    for file in sorted(target.glob("*.whl")):
        print(file)


if __name__ == "__main__":
    main()
