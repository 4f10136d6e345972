"""CloudWatch's metric math, as far as the planned alarms and the dashboard use it.

From "Using math expressions with CloudWatch metrics" (CloudWatch user guide): a missing operand makes a missing result,
FILL puts a value in its place, and DAY and HOUR read a point's time, which is its period's beginning, in UTC.
"""

import ast
import operator
from collections.abc import Mapping
from datetime import UTC, datetime

_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
_COMPARISONS = {ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Lt: operator.lt, ast.LtE: operator.le}


class _MissingError(Exception):
    """An operand has no value in the period."""


def evaluate(expression: str, values: Mapping[str, float | None], at: float) -> float | None:
    """Return an expression's value in one period, or None if it is missing. at: the period's beginning, UTC seconds."""
    text = expression.replace(" AND ", " and ").replace(" OR ", " or ")
    try:
        return float(_value(ast.parse(text, mode="eval").body, values, datetime.fromtimestamp(at, UTC)))
    except _MissingError:
        return None


def _value(node: ast.expr, values: Mapping[str, float | None], at: datetime) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            value = values[name]
            if value is None:
                raise _MissingError(name)
            return value
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, values, at)
        case ast.BinOp(left=left, op=op, right=right):
            return float(_OPERATORS[type(op)](_value(left, values, at), _value(right, values, at)))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return float(_COMPARISONS[type(op)](_value(left, values, at), _value(right, values, at)))
        case ast.BoolOp(op=op, values=parts):
            truths = [_value(part, values, at) != 0 for part in parts]
            return float(all(truths) if isinstance(op, ast.And) else any(truths))
        case ast.Call(func=ast.Name(id=function), args=arguments):
            return _call(function, arguments, values, at)
    raise AssertionError(f"{ast.unparse(node)} is more than this evaluation knows")


def _call(function: str, arguments: list[ast.expr], values: Mapping[str, float | None], at: datetime) -> float:
    match function, arguments:
        case "IF", [condition, then, otherwise]:
            return _value(then if _value(condition, values, at) else otherwise, values, at)
        case "FILL", [ast.Name(id=name), instead]:
            value = values[name]
            return _value(instead, values, at) if value is None else value
        case "DAY", [ast.Name()]:
            return float(at.isoweekday())
        case "HOUR", [ast.Name()]:
            return float(at.hour)
    raise AssertionError(f"{function} is more than this evaluation knows")
