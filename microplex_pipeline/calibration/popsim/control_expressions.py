"""Expressions of controls.csv, such as `(persons.AGEP >= 15) & (persons.AGEP <= 24)`: parsed, not evaluated.

They are those of pandas, on columns of the seed table. They are translated to the project's own expressions
(`calibration.targets.expressions`), which says what is allowed.
"""

from __future__ import annotations

import ast

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.targets.expressions import Expression, parse_expression

INFINITE = 1e299  # np.inf: larger than any value of a survey


def control_expression(target: str, table: str, text: str) -> Expression:
    """Return the expression of a control.

    Parameters
    ----------
    target : its name.
    table : "households" or "persons", before the dots.
    text : the expression.

    Raises
    ------
    CalibrationError
        If the text is no such expression; names the target.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
        translated = ast.unparse(_Translation(table).visit(tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise CalibrationError(
            f"control {target}: {text[:80]!r} is not an expression that can be read ({reason})"
        ) from error
    return parse_expression(target, translated)


class _Translation(ast.NodeTransformer):
    """From pandas to the project's expressions.

    Parameters
    ----------
    table : name of the seed table.
    """

    def __init__(self, table: str) -> None:
        self._table = table

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """`households.NP` is a column, `np.inf` a number."""
        if isinstance(node.value, ast.Name):
            if node.value.id == self._table:
                return ast.copy_location(ast.Name(node.attr, ast.Load()), node)
            if (node.value.id, node.attr) == ("np", "inf"):
                return ast.copy_location(ast.Constant(INFINITE), node)
        raise ValueError(f"{ast.unparse(node)} is neither a column of {self._table} nor np.inf")

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """`&` and `|` join conditions."""
        self.generic_visit(node)
        if isinstance(node.op, ast.BitAnd | ast.BitOr):
            op = ast.And() if isinstance(node.op, ast.BitAnd) else ast.Or()
            return ast.copy_location(ast.BoolOp(op, [node.left, node.right]), node)
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        """`~` negates a condition."""
        self.generic_visit(node)
        if isinstance(node.op, ast.Invert):
            return ast.copy_location(ast.UnaryOp(ast.Not(), node.operand), node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """`households.HHT.isin([1, 2])` is one of several values."""
        match node:
            case ast.Call(
                func=ast.Attribute(value=column, attr="isin"),
                args=[ast.List() as values],
                keywords=[],
            ):
                return ast.copy_location(
                    ast.Compare(self.visit(column), [ast.In()], [values]), node
                )
        raise ValueError(f"{ast.unparse(node)} is not allowed; functions are .isin([...]) alone")
