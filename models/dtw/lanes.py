"""Thirty-two references side by side: a numba type whose arithmetic acts on all of them at once.

A dynamic programme cannot be spread over its own cells, because each waits for its neighbours. It can be
spread over references: one cell of the table is computed for `LANES` of them together, and every value is a
machine vector. numba has no such type, and what LLVM finds by itself in loops over lanes keeps the table in
memory and ran at a quarter of the speed; here the columns stay in registers. Processors with narrower vectors
split one into several.

Arrays of lanes are C-contiguous and end in an axis of `LANES`; a *row* counts vectors from the array's
beginning.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

LANES = 32  # 16 leave a core waiting for its own sums; 64 spill registers and fill badly from few references


LINE = 64  # bytes


class Vector(types.Type):
    """One number of each lane."""

    def __init__(self) -> None:
        super().__init__(f"Vector({LANES})")


VECTOR = Vector()
MACHINE = ir.VectorType(ir.FloatType(), LANES)


def aligned(shape: tuple[int, ...], value: float = 0.0) -> npt.NDArray[np.float32]:
    """A float32 array whose vectors do not straddle lines of the cache, which costs some 7 %."""
    count = int(np.prod(shape))
    memory = np.empty(4 * count + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    array = memory[start : start + 4 * count].view(np.float32).reshape(shape)
    array[...] = value
    return array


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    """How numba holds it: as LLVM's vector, hence in registers."""

    def __init__(self, manager: Any, vector: Vector) -> None:
        super().__init__(manager, vector, MACHINE)  # type: ignore[no-untyped-call]


def _place(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    view = context.make_array(signature.args[0])(context, builder, arguments[0])
    offset = builder.mul(arguments[1], ir.Constant(arguments[1].type, LANES))
    return builder.bitcast(builder.gep(view.data, [offset]), MACHINE.as_pointer())


def instruction(write: Callable[..., Any]) -> Callable[..., Any]:
    """What `write` emits where compiled code calls it; the arguments are numba's."""
    return cast(Callable[..., Any], intrinsic(write))


def _function(builder: Any, kind: Any, name: str) -> Any:
    return cgutils.get_or_insert_function(builder.module, kind, name)  # type: ignore[no-untyped-call]


@instruction
def load(typing: Any, array: Any, row: Any) -> Any:
    """Vector number `row` of a float32 array."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_place(context, builder, signature, arguments), align=4)

    return VECTOR(array, types.intp), code


@instruction
def store(typing: Any, array: Any, row: Any, value: Any) -> Any:
    """Writes vector number `row`."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _place(context, builder, signature, arguments), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), code


@instruction
def every(typing: Any, number: Any) -> Any:
    """The same float32 in every lane."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        unset = ir.Constant(MACHINE, ir.Undefined)
        first = builder.insert_element(unset, arguments[0], ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(first, unset, ir.Constant(ir.VectorType(ir.IntType(32), LANES), None))

    return VECTOR(types.float32), code


@instruction
def smaller(typing: Any, one: Any, other: Any) -> Any:
    """The smaller of two, lane by lane."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", *arguments), *arguments)

    return VECTOR(one, other), code


@instruction
def greater(typing: Any, one: Any, other: Any) -> Any:
    """The greater of two, lane by lane."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", *arguments), *arguments)

    return VECTOR(one, other), code


@instruction
def lowest(typing: Any, value: Any) -> Any:
    """The least of all lanes."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind, name = ir.FunctionType(ir.FloatType(), [MACHINE]), f"llvm.vector.reduce.fmin.v{LANES}f32"
        return builder.call(_function(builder, kind, name), arguments)

    return types.float32(value), code


@instruction
def at_most(typing: Any, one: Any, other: Any) -> Any:
    """Bit l says whether lane l of `one` is at most that of `other`."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.bitcast(builder.fcmp_ordered("<=", *arguments), ir.IntType(LANES))
        return builder.zext(bits, ir.IntType(64))

    return types.int64(one, other), code


@instruction
def pack(typing: Any, array: Any, row: Any, place: Any, bits: Any, value: Any) -> Any:
    """Writes the lanes of `value` whose bits are set into a row, next to each other from `place` on."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, _, place, bits, value = arguments
        start = builder.bitcast(_place(context, builder, signature, arguments), ir.FloatType().as_pointer())
        chosen = builder.bitcast(builder.trunc(bits, ir.IntType(LANES)), ir.VectorType(ir.IntType(1), LANES))
        kind = ir.FunctionType(ir.VoidType(), [MACHINE, start.type, chosen.type])
        name = f"llvm.masked.compressstore.v{LANES}f32"
        builder.call(_function(builder, kind, name), [value, builder.gep(start, [place]), chosen])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, types.int64, value), code


def _arithmetic(name: str) -> Any:
    @instruction
    def apply(typing: Any, one: Any, other: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            # a product and the sum it goes into may round once
            return getattr(builder, name)(*arguments, flags=("contract",))

        return VECTOR(one, other), code

    return apply


def _overload(sign: Callable[[Any, Any], Any], name: str) -> None:
    apply = _arithmetic(name)

    @overload(sign)
    def of_vectors(one: Any, other: Any) -> Any:
        def lane_by_lane(one: Any, other: Any) -> Any:
            return apply(one, other)

        return lane_by_lane if isinstance(one, Vector) and isinstance(other, Vector) else None


for _sign, _name in (
    (operator.add, "fadd"),
    (operator.iadd, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
):
    _overload(_sign, _name)
