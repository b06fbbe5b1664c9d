"""The import law: one can read a room knowing only the rooms below it, and swap a technology in one file."""

import ast

from tests.house.sources import PACKAGE, functions_of, imports_of, module_of, python_files, tree_of

# What each room may import; a room always may import itself.
MAY_IMPORT = {
    "model": (),
    "config": (),
    "limits": ("config", "model"),
    "storage.base": ("model",),
    "storage.catalog": ("storage.base", "model"),
    "storage.engines": ("storage.catalog", "storage.base", "model"),
    "formats": ("model",),
    "storage.journal": ("storage.catalog", "storage.base", "model"),
    "storage.segments": ("storage.journal", "storage.catalog", "storage.base", "formats", "model"),
    "storage": ("formats", "model"),
    # What a query means is computing: no engine, no files. The process that runs queries and the docs use it.
    "sql": ("model",),
    "workers": ("storage", "formats", "sql", "model"),
    "services": ("storage.catalog", "storage.base", "storage.engines", "model"),
    "api": ("services", "storage.base", "storage.engines", "model"),
    # Pages for people, beside the API: they reach what it reaches, through the same services.
    "web": ("services", "model"),
    "compose": ("api", "web", "services", "workers", "storage", "formats", "model", "limits", "config"),
    "connections": (),
    "server": ("compose", "config", "connections", "storage.base", "storage.local_files", "storage.marker"),
    "trials": ("server", "api", "services", "workers", "storage", "formats", "model", "config"),
    "client": (),
    "commands": ("client", "trials", "server", "services", "storage", "model", "config"),
    "cli": ("storage.base", "model"),  # its commands are imported by name, when they are called
    "__main__": ("cli",),
    "": (),
}

# Each technology is known to one place; what is not listed here is the standard library, or used everywhere.
PLACES = {
    "apsw": ("storage.sqlite",),
    "click": ("cli", "commands"),
    # Statistics in the server; queries in their jail; what loads and queries are compared with.
    "duckdb": ("storage.duck", "workers.query.engine", "trials.files", "trials.queries"),
    "duckdb_extension_spatial": ("workers.query.engine",),
    "fastavro": ("formats.files.avro", "formats.exports.avro"),
    "granian": ("server",),
    "jinja2": ("web.rendering",),
    # Imported early by queries, for pyarrow would look for it later.
    "pandas": ("formats.exports.statistical", "workers.query.running"),
    "prometheus_client": ("api.resources.operations",),
    "pyarrow": ("formats", "storage.segments", "workers.query", "trials"),
    "pyseccomp": ("workers.system_calls",),
    "pyogrio": ("formats.files.geospatial",),
    "pyreadstat": ("formats.files.statistical", "formats.exports.statistical"),
    "python_calamine": ("formats.files.spreadsheet",),
    "shapely": ("model.geography",),
    "sqlglot": ("sql",),
    "python_multipart": ("api.http.multipart",),
    "starlette": ("api.http",),
    "tqdm": ("client.files.progress",),
    "uvloop": ("server", "trials"),
    "xlsxwriter": ("formats.exports.spreadsheet",),
    "zstandard": ("storage.journal.entries", "model.inflating"),  # what is stored, and what comes in
}

# The model computes; it reads no file, opens no connection, starts no thread.
NOT_IN_MODEL = ("asyncio", "os", "pathlib", "socket", "sqlite3", "structlog", "subprocess", "threading")


def is_within(module: str, room: str) -> bool:
    """Whether a dotted name is a room or lies in it."""
    return module == room or module.startswith(f"{room}.")


def room_of(module: str) -> str:
    """The narrowest room that a module lies in."""
    return max((room for room in MAY_IMPORT if room == "" or is_within(module, room)), key=len)


def test_imports_run_one_way() -> None:
    """A module imports only from its own room and from the rooms below it."""
    offences = []
    for file in python_files(PACKAGE):
        module = module_of(file)
        room = room_of(module)
        for line, name in imports_of(tree_of(file)):
            if not name.startswith("rowkeep.") or name == "rowkeep.__version__":
                continue
            imported = name.removeprefix("rowkeep.")
            if not any(is_within(imported, allowed) for allowed in (room, *MAY_IMPORT[room])):
                offences.append(f"{module}:{line} ({room or 'package'}) imports {imported}")
    assert not offences


def test_every_module_has_a_room() -> None:
    """A new folder or top module is given its place in the law, not left out of it."""
    assert [module_of(file) for file in python_files(PACKAGE) if not room_of(module_of(file))] == [""]


def test_concrete_storage_is_built_in_one_place() -> None:
    """Only storage and the places that build things know more of it than its promises and the catalog."""
    builders = [room for room, allowed in MAY_IMPORT.items() if "storage" in allowed]
    assert sorted(builders) == ["commands", "compose", "trials", "workers"]


def test_a_technology_is_known_in_one_place() -> None:
    """A library is imported in the one place that wraps it."""
    offences = []
    for file in python_files(PACKAGE):
        module = module_of(file)
        for line, name in imports_of(tree_of(file)):
            places = PLACES.get(name.partition(".")[0])
            if places is not None and not any(is_within(module, place) for place in places):
                offences.append(f"{module}:{line} imports {name}; that belongs in {' or '.join(places)}")
    assert not offences


def test_the_model_does_no_io() -> None:
    """The model imports nothing that reads, writes, waits or logs."""
    offences = [
        f"{module_of(file)}:{line} imports {name}"
        for file in python_files(PACKAGE / "model")
        for line, name in imports_of(tree_of(file))
        if name.partition(".")[0] in NOT_IN_MODEL
    ]
    assert not offences


def test_imports_stand_at_the_top() -> None:
    """No import hides in a function: what a module needs can be read from its first lines."""
    offences = [
        f"{file.relative_to(PACKAGE)}:{node.lineno}"
        for file in python_files(PACKAGE)
        for function in functions_of(tree_of(file))
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not offences


def test_two_places_import_by_name() -> None:
    """Elsewhere an import can be read: commands are loaded when called, GDAL after a worker's fork."""
    offences = [
        module_of(file)
        for file in python_files(PACKAGE)
        if any(name.startswith("importlib.import_module") for _, name in imports_of(tree_of(file)))
    ]
    assert offences == ["cli", "formats.files.opening"]


def test_no_relative_imports() -> None:
    """An import says in full where a thing comes from."""
    offences = [
        f"{file.relative_to(PACKAGE)}:{line} {name}"
        for file in python_files(PACKAGE)
        for line, name in imports_of(tree_of(file))
        if name.startswith(".")
    ]
    assert not offences
