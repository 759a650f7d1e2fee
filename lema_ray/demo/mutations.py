"""Slips in programs, made on their syntax tree: a border, an operator, a number, a condition. Used by `programmer`.

The slips are those of mutation testing; which of them change what a program does is for tests to find out.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator

BORDERS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
}


def mutants(program: str) -> list[str]:
    """All programs that are one slip away, in the order of the places in the program. The same ones every time."""
    tree = ast.parse(program)
    places = [at for at, node in enumerate(ast.walk(tree)) if any(_slips(node))]
    return [ast.unparse(made) for at in places for made in _mutated(tree, at)]


def _mutated(tree: ast.Module, at: int) -> Iterator[ast.Module]:
    count = len(list(_slips(_node(tree, at))))
    for which in range(count):
        changed = copy.deepcopy(tree)
        slip = list(_slips(_node(changed, at)))[which]
        name, value = slip
        setattr(_node(changed, at), name, value)
        yield changed


def _node(tree: ast.Module, at: int) -> ast.AST:
    return list(ast.walk(tree))[at]


def _slips(node: ast.AST) -> Iterator[tuple[str, object]]:
    """Which attribute of a node a slip changes, and to what."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in BORDERS:
        yield "ops", [BORDERS[type(node.ops[0])](), *node.ops[1:]]
    if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in OPERATORS:
        yield "op", OPERATORS[type(node.op)]()
    if isinstance(node, ast.Constant) and type(node.value) is int:
        yield "value", node.value + 1
        if node.value > 0:
            yield "value", node.value - 1
    if isinstance(node, ast.BoolOp):
        yield "op", ast.Or() if isinstance(node.op, ast.And) else ast.And()
