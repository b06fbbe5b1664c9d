"""What gives or takes rights or data is written down in the audit log, wherever it is done."""

import ast

from rowkeep.model.audit import AuditAction
from tests.house.sources import PACKAGE, functions_of, module_of, python_files, tree_of

# The edits of the catalog that are acts.
ACTS = {
    "owners.add",
    "members.set",
    "members.delete",
    "tokens.add",
    "tokens.revoke",
    "grants.set",
    "grants.delete",
    "datasets.add",
    "datasets.update",
    "datasets.delete",
    "versions.release",
    "versions.unrelease",
    "versions.hide",
    "versions.delete",
    "versions.show",
    "tables.delete",
    "uploads.delete",
    "raw_files.remove",
    "receipts.remove_rows",
    "quarantine.empty",
    "exports.renew_link_secret",
}
# Functions whose callers write it down.
BY_CALLERS = {"services.accounts._create_owner"}


def calls_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """The methods of nouns that a function calls on an editor, as `noun.method`."""
    return {
        f"{node.func.value.attr}.{node.func.attr}"
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Attribute)
        and isinstance(node.func.value.value, ast.Name)
        and node.func.value.value.id == "editor"
    }


def writes_down(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function adds an entry to the audit log, or calls one that is named for doing so."""
    names = {
        node.func.id
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    return "audit.add" in calls_of(function) or any(name.startswith("_write_down_") for name in names)


def test_every_act_is_written_down() -> None:
    """A function that does an act adds an entry in the same transaction."""
    offences = [
        f"{module_of(file)}.{function.name}:{function.lineno} {sorted(calls_of(function) & ACTS)}"
        for folder in ("services", "commands", "web", "api")
        for file in python_files(PACKAGE / folder)
        for function in functions_of(tree_of(file))
        if calls_of(function) & ACTS
        and not writes_down(function)
        and f"{module_of(file)}.{function.name}" not in BY_CALLERS
    ]
    assert not offences


def test_every_action_is_used() -> None:
    """No action stands in the list that nothing writes down."""
    used = {
        node.attr
        for file in python_files(PACKAGE)
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "AuditAction"
    }
    assert used == set(AuditAction.__members__)
