"""Small faults for a file: each changes one place of one function, as a slip of the hand would.

A mutant is a piece of the source, by its position, and what stands there instead. The text around it stays as
it is, so that a mutant can be read as a line of a diff. Annotations, docstrings and what is outside of
functions are left alone: a fault there either changes nothing or is found by the type checker.
"""

import ast
from collections.abc import Iterator

import msgspec

_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
}
_ARITHMETIC: dict[type[ast.operator], str] = {ast.Add: "-", ast.Sub: "+", ast.Mult: "+", ast.FloorDiv: "*"}
_EXCHANGED = {"min": "max", "max": "min", "any": "all", "all": "any"}


class Mutant(msgspec.Struct, frozen=True):
    """One fault: its function and line, the piece by its offsets in bytes, and the new piece."""

    function: str
    line: int
    start: int
    end: int
    after: str

    def applied_to(self, source: bytes) -> bytes:
        """Returns the source with the fault."""
        return source[: self.start] + self.after.encode() + source[self.end :]

    def told(self, source: bytes) -> str:
        """Returns the fault in words: the place, what stands there, and what stands there instead."""
        before = " ".join(source[self.start : self.end].decode().split())
        return f"{self.line} {self.function}: `{before}` → `{self.after}`"


def mutants_of(source: bytes) -> list[Mutant]:
    """Returns every fault for a file, in the order of the file."""
    tree = ast.parse(source)
    starts = _line_starts(source)
    found = [
        mutant
        for function, name in _functions(tree, "")
        for statement in function.body
        for mutant in _Faults(source, starts, name).of(statement)
    ]
    return sorted(found, key=lambda mutant: (mutant.start, mutant.end, mutant.after))


def _line_starts(source: bytes) -> list[int]:
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return starts


def _functions(node: ast.AST, name: str) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, str]]:
    """The functions of a module, those within others apart."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child, f"{name}{child.name}"
            yield from _functions(child, f"{name}{child.name}.")
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{name}{child.name}.")
        elif not isinstance(child, ast.expr):
            yield from _functions(child, name)


class _Faults:
    """The faults of one function's statements."""

    def __init__(self, source: bytes, starts: list[int], function: str) -> None:
        self._source = source
        self._starts = starts
        self._function = function

    def of(self, node: ast.AST) -> Iterator[Mutant]:
        """All within a node, functions within it left out."""
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return
        if isinstance(node, ast.stmt):
            yield from self._of_statement(node)
        elif isinstance(node, ast.expr):
            yield from self._of_expression(node)
        for name, child in _fields(node):
            if name not in {"annotation", "returns"}:
                yield from self.of(child)

    def _of_statement(self, node: ast.stmt) -> Iterator[Mutant]:
        match node:
            case ast.Expr(value=ast.Call() | ast.Await() | ast.YieldFrom()):
                yield self._instead(node, "None")
            case ast.AugAssign() | ast.Raise() | ast.Delete() | ast.Continue():
                yield self._instead(node, "pass")
            case ast.Return(value=ast.expr() as value) if not _is_none(value):
                yield self._instead(value, "None")
            case ast.If(test=test) | ast.While(test=test):
                yield self._instead(test, "False")
                if isinstance(node, ast.If):
                    yield self._instead(test, "True")
            case ast.Assign(value=value, targets=[ast.Attribute()]) if not _is_none(value):
                yield self._instead(value, "None")

    def _of_expression(self, node: ast.expr) -> Iterator[Mutant]:
        match node:
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                yield self._between(left, right, _COMPARISONS[type(operator)])
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _ARITHMETIC:
                if not (_is_text(left) or _is_text(right)):
                    yield self._between(left, right, _ARITHMETIC[type(operator)])
            case ast.BoolOp(op=operator, values=[first, second, *_]):
                yield self._between(first, second, "or" if isinstance(operator, ast.And) else "and")
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                yield self._instead(node, f"({self._text(operand)})")
            case ast.Constant(value=bool() as value):
                yield self._instead(node, str(not value))
            case ast.Constant(value=int() | float() as value):
                yield self._instead(node, str(value + 1))
            case ast.Call(func=ast.Name(id=name) as called) if name in _EXCHANGED:
                yield self._instead(called, _EXCHANGED[name])
            case ast.IfExp(test=test):
                yield self._instead(test, "True")
                yield self._instead(test, "False")

    def _instead(self, node: ast.expr | ast.stmt, after: str) -> Mutant:
        start, end = self._place(node)
        return Mutant(self._function, node.lineno, start, end, after)

    def _between(self, left: ast.expr, right: ast.expr, after: str) -> Mutant:
        """What stands between two operands; a bracket beside the operator stays."""
        start, end = self._place(left)[1], self._place(right)[0]
        piece = self._source[start:end]
        kept_before = piece[: len(piece) - len(piece.lstrip(b") \n"))]
        kept_after = piece[len(piece.rstrip(b"( \n")) :]
        return Mutant(
            self._function, left.lineno, start + len(kept_before), end - len(kept_after), f" {after} ".strip()
        )

    def _place(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return (
            self._starts[node.lineno - 1] + node.col_offset,
            self._starts[node.end_lineno - 1] + node.end_col_offset,
        )

    def _text(self, node: ast.expr) -> str:
        start, end = self._place(node)
        return self._source[start:end].decode()


def _fields(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield name, child


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
    )
