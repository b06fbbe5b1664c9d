"""Sizes and habits that keep the code readable in one sitting."""

import ast
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

from tests.house.sources import (
    PACKAGE,
    ROOT,
    TESTS,
    functions_of,
    length_of,
    module_of,
    python_files,
    tree_of,
)

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
FUNCTION_LINES_MEDIAN_MAX = 10

# Where everything may be caught, and why. Anywhere else it would hide a mistake.
BROAD_EXCEPTS = {
    "api.http.app.RowkeepApplication.__call__": "the last resort: an unexpected error is logged and answered",
    "api.http.app.RowkeepApplication._insert_long": "the same for an answer that lasts, before it begins",
    "api.resources.long_insert.LongInsertAnswer._run": "the same after that: its last line says it",
    "api.http.endpoint.Endpoint.__call__": "the same for every other route",
    "client.pipeline.Pipeline._carry_out_next": "whatever a batch fails of, the next append raises it",
    "client.row_stream.RowStream.__exit__": "the caller's own error goes on, with a note of what else failed",
    "client.row_stream.RowStream._send_old_rows": "whatever the timer meets, the next append raises it",
    "services.jobs.JobService._run_with_care": "whatever a job fails of, it must not stay running",
    "services.maintenance.Maintenance._tried": "what fails is put off, and the rows stay in the journal",
    "services.read.rounds.Rounds._run_round": "who waits for a round hears of whatever ended it",
    "services.read.rounds.read_together": "an error of one reader's must not be that of all others",
    "storage.journal.lane.Lane._commit": "the writer's thread must not die: the error goes to those who wait",
    "storage.journal.lane.Lane._run_edit": "the same for an edit of the catalog",
    "web.console.Console.__call__": "the same for pages: whatever it is, the person is shown a page",
    "workers.worker.run_worker": "a forked process must end here, and not go on as its parent would",
}
# Cleaning up and raising again hides nothing, so `except BaseException: ...; raise` is free.

MAY_PRINT = ("cli", "trials")
_forbidden_words = re.compile(r"\b(FIXME|TODO|XXX|HACK)\b").search
_forbidden_names = re.compile(r"(^|_)(utils?|helpers?|misc|common|manager)(_|$)").search


def all_files() -> list[Path]:
    """Every Python file of the project."""
    return [file for folder in (PACKAGE, TESTS, ROOT / "scripts") for file in python_files(folder)]


def test_files_are_short() -> None:
    """A file fits in the head: it is split by subject before it reaches 400 lines."""
    lengths = {
        str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines())
        for file in all_files()
    }
    assert not {name: length for name, length in lengths.items() if length > FILE_LINES_MAX}


def test_functions_are_short() -> None:
    """A function fits on a screen, and most are much shorter."""
    lengths = [
        (length_of(function), f"{module_of(file)}.{function.name}")
        for file in python_files(PACKAGE)
        for function in functions_of(tree_of(file))
    ]
    assert not [entry for entry in lengths if entry[0] > FUNCTION_LINES_MAX]
    assert statistics.median(length for length, _ in lengths) < FUNCTION_LINES_MEDIAN_MAX


def test_files_say_what_they_are() -> None:
    """Every file that holds code opens with a docstring."""
    trees = {str(file.relative_to(ROOT)): tree_of(file) for file in all_files()}
    assert not [name for name, tree in trees.items() if tree.body and not ast.get_docstring(tree)]


def test_tests_say_what_they_show() -> None:
    """Every test has a docstring that says which behaviour it holds."""
    offences = [
        f"{file.relative_to(ROOT)}:{function.lineno} {function.name}"
        for file in python_files(TESTS)
        for function in functions_of(tree_of(file))
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ]
    assert not offences


def broad_excepts(module: str, node: ast.AST, name: str = "") -> Iterator[str]:
    """The functions that catch everything and do not raise it again."""
    for child in ast.iter_child_nodes(node):
        inner = name
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = f"{name}.{child.name}"
        if isinstance(child, ast.ExceptHandler) and _is_broad(child):
            yield f"{module}{name}"
        yield from broad_excepts(module, child, inner)


def _is_broad(handler: ast.ExceptHandler) -> bool:
    names = (
        {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)} if handler.type else {""}
    )
    raises_again = any(isinstance(node, ast.Raise) and node.exc is None for node in handler.body)
    return bool(names & {"", "Exception", "BaseException"}) and not raises_again


def test_broad_excepts_are_named() -> None:
    """Everything is caught only in the places listed here, each for a reason; none is listed in vain."""
    found = {
        where for file in python_files(PACKAGE) for where in broad_excepts(module_of(file), tree_of(file))
    }
    assert found == set(BROAD_EXCEPTS)


def test_nothing_prints() -> None:
    """The server logs; only the command line and the benchmark print."""
    offences = [
        f"{module_of(file)}:{node.lineno}"
        for file in python_files(PACKAGE)
        if module_of(file).partition(".")[0] not in MAY_PRINT
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not offences


def test_nothing_is_left_for_later() -> None:
    """What is to be done stands in an issue, not in a comment."""
    offences = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in all_files()
        if file != Path(__file__)
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if _forbidden_words(line)
    ]
    assert not offences


def test_files_are_named_for_their_subject() -> None:
    """No drawer for everything: a file is named for what it knows."""
    assert not [str(file) for file in python_files(PACKAGE) if _forbidden_names(file.stem)]


def test_flags_are_named_where_they_are_passed() -> None:
    """A boolean parameter is keyword-only: `f(x, may_update=True)` can be read, `f(x, True)` cannot."""
    offences = [
        f"{module_of(file)}.{function.name}({argument.arg})"
        for file in python_files(PACKAGE)
        for function in functions_of(tree_of(file))
        for argument in (*function.args.posonlyargs, *function.args.args)
        if isinstance(argument.annotation, ast.Name) and argument.annotation.id == "bool"
    ]
    assert not offences


_RIDDLES = re.compile(r"(The same|As above|Likewise|Ditto|How many\.|Why\.|Where\.|When\.|Who has none)\b")


def test_docstrings_stand_by_themselves() -> None:
    """A docstring names its thing: none begins as a sentence that only the docstring before it explains."""
    offences = [
        f"{module_of(file)}:{getattr(node, 'lineno', 1)} {docstring.splitlines()[0]}"
        for file in python_files(PACKAGE)
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and (docstring := ast.get_docstring(node)) is not None
        and _RIDDLES.match(docstring)
    ]
    assert not offences
