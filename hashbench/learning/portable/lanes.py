"""Sums in a fixed order on every processor, at the speed of its vector unit.

A compiler may not reorder a sum of floating-point numbers, so it adds them one by one. If it may reorder them, it uses
vectors of the processor's width, and the result depends on that width. Here the order is part of the code: partial sums
in lanes, combined in pairs at the end. LLVM maps vectors of four numbers to the registers of the processor, and does
not fuse multiplications with additions.
"""

from __future__ import annotations

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES, ROWS = 4, 4
"""Numbers in a vector; rows of a matrix that are processed at once, or vectors of partial sums."""
SUMS = LANES * ROWS
I32, I64 = ir.IntType(32), ir.IntType(64)
DOUBLES = ir.VectorType(ir.DoubleType(), LANES)
ZEROS = ir.Constant(DOUBLES, [0.0] * LANES)


def _data(context, builder, signature, arguments, i):
    """Return the pointer to the first number of the i-th argument."""
    return context.make_array(signature.args[i])(context, builder, arguments[i]).data


def _load(builder, pointer, index):
    """Return the vector of four numbers from an index on, in double precision."""
    kind = ir.VectorType(pointer.type.pointee, LANES)
    vector = builder.load(builder.bitcast(builder.gep(pointer, [index]), kind.as_pointer()), align=4)
    return vector if kind == DOUBLES else builder.fpext(vector, DOUBLES)


def _store(builder, vector, pointer, index):
    builder.store(vector, builder.bitcast(builder.gep(pointer, [index]), DOUBLES.as_pointer()), align=8)


def _splat(builder, number):
    """Return a vector of four times the same number."""
    one = builder.insert_element(ir.Constant(DOUBLES, ir.Undefined), number, ir.Constant(I32, 0))
    order = ir.Constant(ir.VectorType(I32, LANES), [0] * LANES)
    return builder.shuffle_vector(one, ir.Constant(DOUBLES, ir.Undefined), order)


@intrinsic
def _add_products(typingctx, x, y, n_steps, sums):
    """Write to ``sums`` (16 lanes) the partial sums of x·y over the first 16 ``n_steps`` numbers."""

    def codegen(context, builder, signature, arguments):
        left, right, out = (_data(context, builder, signature, arguments, i) for i in (0, 1, 3))
        kept = [cgutils.alloca_once(builder, DOUBLES) for _ in range(ROWS)]
        for slot in kept:
            builder.store(ZEROS, slot)
        with cgutils.for_range(builder, arguments[2]) as loop:
            first = builder.mul(loop.index, ir.Constant(I64, SUMS))
            for r, slot in enumerate(kept):
                at = builder.add(first, ir.Constant(I64, r * LANES))
                product = builder.fmul(_load(builder, left, at), _load(builder, right, at))
                builder.store(builder.fadd(builder.load(slot), product), slot)
        for r, slot in enumerate(kept):
            _store(builder, builder.load(slot), out, ir.Constant(I64, r * LANES))
        return context.get_dummy_value()

    return types.void(x, y, types.intp, sums), codegen


@intrinsic
def _add_squared_gaps(typingctx, x, y, n_steps, sums):
    """Write to ``sums`` (16 lanes) the partial sums of (x − y)² over the first 16 ``n_steps`` numbers."""

    def codegen(context, builder, signature, arguments):
        left, right, out = (_data(context, builder, signature, arguments, i) for i in (0, 1, 3))
        kept = [cgutils.alloca_once(builder, DOUBLES) for _ in range(ROWS)]
        for slot in kept:
            builder.store(ZEROS, slot)
        with cgutils.for_range(builder, arguments[2]) as loop:
            first = builder.mul(loop.index, ir.Constant(I64, SUMS))
            for r, slot in enumerate(kept):
                at = builder.add(first, ir.Constant(I64, r * LANES))
                gap = builder.fsub(_load(builder, left, at), _load(builder, right, at))
                builder.store(builder.fadd(builder.load(slot), builder.fmul(gap, gap)), slot)
        for r, slot in enumerate(kept):
            _store(builder, builder.load(slot), out, ir.Constant(I64, r * LANES))
        return context.get_dummy_value()

    return types.void(x, y, types.intp, sums), codegen


@njit
def _total(sums):
    """Combine 16 partial sums in pairs."""
    step = SUMS // 2
    while step:
        for i in range(step):
            sums[i] += sums[i + step]
        step //= 2
    return sums[0]


@njit
def dot(x, y, sums):
    """Return the sum of x·y in double precision; ``sums`` (16,) float64 is overwritten."""
    n_steps = len(x) // SUMS
    _add_products(x, y, n_steps, sums)
    for i in range(n_steps * SUMS, len(x)):
        sums[i % SUMS] += float(x[i]) * float(y[i])
    return _total(sums)


@njit
def squared_distance(x, y, sums):
    """Return the sum of (x − y)² in double precision; ``sums`` (16,) float64 is overwritten."""
    n_steps = len(x) // SUMS
    _add_squared_gaps(x, y, n_steps, sums)
    for i in range(n_steps * SUMS, len(x)):
        gap = float(x[i]) - float(y[i])
        sums[i % SUMS] += gap * gap
    return _total(sums)


@intrinsic
def _reflect(typingctx, A, width, first, start, n_steps, v, w, u, y, sums):
    """Do for rows ``first`` to ``first`` + 3 and 4 ``n_steps`` columns from ``start`` on what `reflect_rows` does."""

    def codegen(context, builder, signature, arguments):
        matrix, *vectors, out = (_data(context, builder, signature, arguments, i) for i in (0, 5, 6, 7, 8, 9))
        width, first, start, n_steps = arguments[1:5]
        numbers = [builder.add(first, ir.Constant(I64, r)) for r in range(ROWS)]
        rows = [builder.gep(matrix, [builder.mul(number, width)]) for number in numbers]
        v, w, u, y = vectors
        factors = [
            [_splat(builder, builder.load(builder.gep(one, [number]))) for one in (v, w, u)] for number in numbers
        ]
        kept = [cgutils.alloca_once(builder, DOUBLES) for _ in range(ROWS)]
        for slot in kept:
            builder.store(ZEROS, slot)
        with cgutils.for_range(builder, n_steps) as loop:
            j = builder.add(start, builder.mul(loop.index, ir.Constant(I64, LANES)))
            v_j, w_j, u_j, y_j = (_load(builder, one, j) for one in vectors)
            for row, (v_i, w_i, u_i), slot in zip(rows, factors, kept, strict=True):
                change = builder.fadd(builder.fmul(v_i, w_j), builder.fmul(w_i, v_j))
                value = builder.fsub(_load(builder, row, j), change)
                _store(builder, value, row, j)
                y_j = builder.fadd(y_j, builder.fmul(value, u_i))
                builder.store(builder.fadd(builder.load(slot), builder.fmul(value, u_j)), slot)
            _store(builder, y_j, y, j)
        for r, slot in enumerate(kept):
            _store(builder, builder.load(slot), out, ir.Constant(I64, r * LANES))
        return context.get_dummy_value()

    return types.void(A, types.intp, types.intp, types.intp, types.intp, v, w, u, y, sums), codegen


@njit
def reflect_rows(A, first, last, v, w, u, y, sums):
    """Subtract v wᵀ + w vᵀ from rows of a symmetric matrix A, and add the contribution of these rows to A u to y.

    Only the upper triangle is read and written. Both are done in one pass, since memory is the bottleneck.

    Parameters
    ----------
    A : ndarray of shape (n, n), float64
    first, last : int
        Rows ``first`` to ``last`` − 1.
    v, w, u, y : ndarray of shape (n,), float64
    sums : ndarray of shape (16,), float64
        Overwritten.
    """
    n = len(A)
    for i in range(first, last - ROWS + 1, ROWS):
        after = i + ROWS
        n_steps = (n - after) // LANES
        for row in range(i, after):
            _reflect_part(A, row, row, after, v, w, u, y)
        _reflect(A, n, i, after, n_steps, v, w, u, y, sums)
        for row in range(i, after):
            at = LANES * (row - i)
            y[row] += (sums[at] + sums[at + 1]) + (sums[at + 2] + sums[at + 3])
            _reflect_part(A, row, after + LANES * n_steps, n, v, w, u, y)
    for row in range(first + (last - first) // ROWS * ROWS, last):
        _reflect_part(A, row, row, n, v, w, u, y)


@njit
def _reflect_part(A, row, start, end, v, w, u, y):
    """Do for some columns of one row what `reflect_rows` does."""
    for j in range(start, end):
        value = A[row, j] - (v[row] * w[j] + w[row] * v[j])
        A[row, j] = value
        y[row] += value * u[j]
        if j > row:
            y[j] += value * u[row]
