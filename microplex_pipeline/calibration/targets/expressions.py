"""Expressions of derived columns, as text: parsed with a list of what is allowed, never evaluated as code.

wages + 0.5 * pensions_total                      arithmetic: + - * /
household_income / (11670 + 4060 * (n - 1))       parentheses
wages > 0 and not filing_status == 4              comparisons, and, or, not; 1 or 0 in a sum
filing_status in [1, 4]                           one of several values
when(age_head >= 65, 2, age_head >= 50, 1, 0)     the first value whose condition holds, else the last
min(a, b), max(a, b), abs(a), round(a)            of each record
household(wages)                                  sum over the records of the household
persons(age >= 65)                                number of persons, whose ages the column `ages` lists
"""

from __future__ import annotations

import ast
import math
import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import reduce
from typing import Literal, NamedTuple, NoReturn

import polars as pl

from microplex_pipeline.calibration.errors import CalibrationError

AGES = "ages"  # list column: the age of each person of a unit
AGE = "age"  # one of them, inside persons()
LENGTH, DEPTH, PARTS = 2_000, 60, 400  # largest numbers of characters, levels and parts
ALLOWED = "+ - * / ( ), < <= > >= == != in, and or not, when min max abs round household persons"
FUNCTIONS = ("when", "min", "max", "abs", "round", "household", "persons")

_ARITHMETIC = {ast.Add: "__add__", ast.Sub: "__sub__", ast.Mult: "__mul__", ast.Div: "__truediv__"}
_COMPARISONS = {
    ast.Lt: "__lt__", ast.LtE: "__le__", ast.Gt: "__gt__", ast.GtE: "__ge__",
    ast.Eq: "__eq__", ast.NotEq: "__ne__",
}  # fmt: skip
_STRUCTURE = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.USub, ast.UAdd, ast.Not, ast.BoolOp, ast.And, ast.Or,
    ast.Compare, ast.In, ast.NotIn, ast.Call, ast.Name, ast.Load, ast.Constant, ast.List, ast.Tuple,
    *_ARITHMETIC, *_COMPARISONS,
)  # fmt: skip

Kind = Literal["number", "condition", "text"]


class _Value(NamedTuple):
    """A part of an expression in polars, and what it yields."""

    expr: pl.Expr
    kind: Kind


@dataclass(frozen=True)
class Expression:
    """A parsed expression.

    Attributes
    ----------
    name : of the column that it makes.
    text : as written, without surrounding spaces.
    tree : its syntax.
    """

    name: str
    text: str
    tree: ast.expr

    @property
    def names(self) -> set[str]:
        """The columns and constants that it uses, `ages` if it counts persons."""
        called = {id(n.func) for n in ast.walk(self.tree) if isinstance(n, ast.Call)}
        used = {
            n.id for n in ast.walk(self.tree) if isinstance(n, ast.Name) and id(n) not in called
        }
        return (used - {AGE}) | ({AGES} if _counts_persons(self.tree) else set())

    def in_polars(
        self,
        schema: Mapping[str, pl.DataType],
        constants: Mapping[str, float],
        household_id: str,
    ) -> pl.Expr:
        """Return the expression in polars: floats, or text; conditions are 1 or 0.

        Parameters
        ----------
        schema : columns of the records with their types.
        constants : numbers by name.
        household_id : column of household numbers, for `household`.

        Raises
        ------
        CalibrationError
            If it names something else, or joins numbers and text.
        """
        found = _Binder(self, schema, constants, household_id).value(self.tree)
        expr = found.expr.cast(pl.Int64) if found.kind == "condition" else found.expr
        return expr.alias(self.name)

    def fault(self, node: ast.expr | None, what: str) -> NoReturn:
        """Raise CalibrationError with the expression's name and the position of a part of it."""
        place = f"derived column {self.name}"
        if node is not None:
            line = self.text.encode()
            position = len(line[: node.col_offset].decode(errors="ignore")) + 1
            part = line[node.col_offset : node.end_col_offset].decode(errors="ignore")
            shown = part if len(part) <= 40 else f"{part[:40]}..."
            place += f", position {position}, {shown!r}"
        raise CalibrationError(f"{place}: {what}")


def parse_expression(name: str, text: str) -> Expression:
    """Parse an expression.

    Parameters
    ----------
    name : of the column that it makes.

    Raises
    ------
    CalibrationError
        If the text is not an expression, is too long, or has anything that is not allowed.
    """
    text = " ".join(text.splitlines()).strip()
    draft = Expression(name, text, ast.Constant(0))
    if len(text) > LENGTH:
        draft.fault(None, f"it has {len(text):,} characters, more than {LENGTH:,}: divide it")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd code such as 1 is 1
            tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        at_end = not isinstance(error, SyntaxError) or not error.offset
        where = f", position {len(text) + 1 if at_end else error.offset}"  # type: ignore[union-attr]
        raise CalibrationError(
            f"derived column {name}{where}: this is not an expression ({_reason(error)}). Allowed are "
            f"columns, numbers, {ALLOWED}"
        ) from error
    expression = Expression(name, text, tree)
    _check(expression)
    return expression


def _reason(error: Exception) -> str:
    return (
        error.msg if isinstance(error, SyntaxError) else "it is too deep or has too long numbers"
    )


def _check(expression: Expression) -> None:
    """Refuse everything that no records could make valid."""
    level: list[ast.AST] = [expression.tree]
    parts = depth = 0
    while level:  # by level, not by recursion: a deep tree is refused before it can do harm
        parts, depth = parts + len(level), depth + 1
        if parts > PARTS or depth > DEPTH:
            expression.fault(None, "it has too many parts: divide it into several derived columns")
        for node in level:
            _check_node(expression, node)
        level = [child for node in level for child in ast.iter_child_nodes(node)]


def _check_node(expression: Expression, node: ast.AST) -> None:
    at = node if isinstance(node, ast.expr) else None
    if not isinstance(node, _STRUCTURE):
        kind = type(node).__name__
        expression.fault(
            at, f"this is not allowed ({kind}). Allowed are columns, numbers, {ALLOWED}"
        )
    if isinstance(node, ast.Constant) and not _plain(node.value):
        expression.fault(at, "write a finite number, or a text in quotes")
    if isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS:
            name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
            expression.fault(
                at, f"there is no function {name!r}{nearest(name, FUNCTIONS)}. There are "
                f"{', '.join(FUNCTIONS)}"
            )  # fmt: skip
        if node.keywords:
            expression.fault(at, "give arguments without names")


def _plain(value: object) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return abs(value) < 1e300 and math.isfinite(value)
    return isinstance(value, str)


def _counts_persons(tree: ast.expr) -> bool:
    return any(
        isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "persons"
        for n in ast.walk(tree)
    )


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name nearest to an unknown one, as the end of a message; "" if none is near."""
    close = get_close_matches(name, list(known), 1)
    return f": do you mean {close[0]!r}?" if close else ""


@dataclass(frozen=True)
class _Binder:
    """Turns syntax into polars, given the records' columns.

    Attributes
    ----------
    person : whether it is inside persons(), where the only name is `age`.
    """

    expression: Expression
    schema: Mapping[str, pl.DataType]
    constants: Mapping[str, float]
    household_id: str
    person: bool = False

    def value(self, node: ast.expr) -> _Value:
        match node:
            case ast.Constant(value=str() as text):
                return _Value(pl.lit(text), "text")
            case ast.Constant(value=int() | float() as number):
                return _Value(pl.lit(float(number)), "number")
            case ast.Name(id=name):
                return self._name(node, name)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return _Value(~self._condition(operand), "condition")
            case ast.UnaryOp(op=op, operand=operand):
                signed = self._number(operand)
                return _Value(-signed if isinstance(op, ast.USub) else signed, "number")
            case ast.BinOp(left=left, op=op, right=right):
                method = getattr(self._number(left), _ARITHMETIC[type(op)])
                return _Value(method(self._number(right)), "number")
            case ast.BoolOp(op=op, values=values):
                parts = [self._condition(value) for value in values]
                join = pl.all_horizontal if isinstance(op, ast.And) else pl.any_horizontal
                return _Value(join(parts), "condition")
            case ast.Compare():
                return self._comparison(node)
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self._call(node, name, arguments)
        self.expression.fault(node, "a list belongs after `in`")

    def _name(self, node: ast.expr, name: str) -> _Value:
        fault = self.expression.fault
        if self.person:
            if name == AGE:
                return _Value(pl.element().cast(pl.Float64), "number")
            if name in self.constants:
                return _Value(pl.lit(float(self.constants[name])), "number")
            fault(node, f"inside persons() the only column is {AGE!r}. Multiply the count by a "
                  "condition on other columns, e.g. persons(age < 18) * (filing_status == 4)")  # fmt: skip
        if name in self.constants:
            return _Value(pl.lit(float(self.constants[name])), "number")
        if name not in self.schema:
            if name == AGE:
                fault(node, "ages belong into persons(), e.g. persons(age >= 65)")
            known = [*self.schema, *self.constants]
            hint = nearest(name, known) or f": there are {', '.join(sorted(known))}"
            fault(node, f"the records have no column {name!r}{hint}")
        dtype = self.schema[name]
        if dtype.is_nested():
            fault(node, f"the column is a list: count its elements, e.g. persons({AGE} >= 65)")
        if dtype == pl.Boolean:
            return _Value(pl.col(name), "condition")
        if dtype.is_numeric():
            return _Value(pl.col(name).cast(pl.Float64), "number")
        return _Value(pl.col(name).cast(pl.String), "text")

    def _number(self, node: ast.expr) -> pl.Expr:
        found = self.value(node)
        if found.kind == "text":
            self.expression.fault(node, "this is text, where a number is needed")
        return found.expr.cast(pl.Float64) if found.kind == "condition" else found.expr

    def _condition(self, node: ast.expr) -> pl.Expr:
        found = self.value(node)
        if found.kind != "condition":
            self.expression.fault(
                node, "a condition is needed here, e.g. wages > 0; put comparisons in parentheses"
            )
        return found.expr

    def _comparison(self, node: ast.Compare) -> _Value:
        parts, left = [], node.left
        for op, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, ast.In | ast.NotIn):
                one_of = self._one_of(left, right)
                parts.append(~one_of if isinstance(op, ast.NotIn) else one_of)
            else:
                parts.append(self._pair(left, right, _COMPARISONS[type(op)]))
            left = right
        return _Value(reduce(lambda a, b: a & b, parts), "condition")

    def _pair(self, left: ast.expr, right: ast.expr, method: str) -> pl.Expr:
        a, b = self.value(left), self.value(right)
        if (a.kind == "text") != (b.kind == "text"):
            self.expression.fault(
                right, "text can only be compared with text, numbers with numbers"
            )
        if a.kind == "text":
            compared: pl.Expr = getattr(a.expr, method)(b.expr)
        else:
            compared = getattr(self._number(left), method)(self._number(right))
        return compared

    def _one_of(self, left: ast.expr, right: ast.expr) -> pl.Expr:
        if not isinstance(right, ast.List | ast.Tuple) or not right.elts:
            self.expression.fault(right, "give a list of values after `in`, e.g. [1, 4]")
        return reduce(lambda a, b: a | b, [self._pair(left, e, "__eq__") for e in right.elts])

    def _call(self, node: ast.Call, name: str, arguments: list[ast.expr]) -> _Value:
        least, most = {"when": (3, 21), "min": (2, 20), "max": (2, 20)}.get(name, (1, 1))
        if not least <= len(arguments) <= most or (name == "when" and len(arguments) % 2 == 0):
            usage = {"when": "conditions, each with its value, and a last value for all others",
                     "min": "two or more values", "max": "two or more values"}  # fmt: skip
            self.expression.fault(node, f"{name}() takes {usage.get(name, 'one value')}")
        if name == "when":
            return self._when(arguments)
        if name == "persons":
            return self._persons(node, arguments[0])
        numbers = [self._number(a) for a in arguments]
        if name in ("min", "max"):
            join = pl.min_horizontal if name == "min" else pl.max_horizontal
            return _Value(join(numbers), "number")
        if name == "household":
            if self.person:
                self.expression.fault(node, "household() cannot stand inside persons()")
            # one value per record, also of a constant, so that the records of a household add up
            each = numbers[0] + 0.0 * pl.int_range(pl.len()).cast(pl.Float64)
            return _Value(each.sum().over(self.household_id), "number")
        return _Value(numbers[0].abs() if name == "abs" else numbers[0].round(), "number")

    def _when(self, arguments: list[ast.expr]) -> _Value:
        *pairs, last = arguments
        values = [self.value(v) for v in (*pairs[1::2], last)]
        if len({v.kind == "text" for v in values}) > 1:
            self.expression.fault(last, "all values of when() must be numbers, or all text")
        text = values[0].kind == "text"
        exprs = [v.expr if text else v.expr.cast(pl.Float64) for v in values]
        result = exprs[-1]
        for condition, value in zip(reversed(pairs[::2]), reversed(exprs[:-1]), strict=True):
            result = pl.when(self._condition(condition)).then(value).otherwise(result)
        return _Value(result, "text" if text else "number")

    def _persons(self, node: ast.Call, condition: ast.expr) -> _Value:
        if self.person:
            self.expression.fault(node, "persons() cannot stand inside persons()")
        if not isinstance(self.schema.get(AGES), pl.List):
            self.expression.fault(
                node, f"the records have no list column {AGES!r} to count persons in"
            )
        inner = _Binder(self.expression, self.schema, self.constants, self.household_id, True)
        met = inner._condition(condition) & pl.element().is_not_null()  # one per person
        counted = pl.col(AGES).list.eval(met.cast(pl.Int64)).list.sum()
        return _Value(counted.cast(pl.Float64), "number")


def known_names(names: Collection[str]) -> None:
    """Refuse names that a derived column or constant cannot have.

    Raises
    ------
    CalibrationError
        For the first one.
    """
    for name in names:
        if not name.isidentifier() or name in (*FUNCTIONS, AGE, AGES, "and", "or", "not", "in"):
            raise CalibrationError(
                f"{name!r} cannot be the name of a derived column or constant: use letters, digits and _, "
                f"and none of {', '.join([*FUNCTIONS, AGE, AGES])}"
            )
