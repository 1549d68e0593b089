"""Adding bit planes and counting what they spell, 512 items at a time, in LLVM's own terms.

A plane is one bit of each of 512 items: a vector of eight 64-bit words. Eight counter planes hold an 8-bit counter
for each item, counter plane k its bit of weight 2^k. Two stages go over a block of items for each query:

1. `add_planes` leaves in the counter planes each item's distance to the query. Sixteen planes at a time go through
   full adders (Harley and Seal's scheme; Warren, Hacker's Delight, 2nd edition, section 5-1): 16 planes of weight 1
   leave 8 carries of weight 2, these 4 of weight 4, then 2 of weight 8 and one of weight 16. What does not carry
   stays in the counter plane of its weight; the last carry ripples through the counter planes from weight 16 on.
2. `count_levels` reads distances off the counter planes. The items at distance d are those whose counter planes
   spell d: an AND of the planes at the 1-bits of d and of the complements at its 0-bits. Distances are taken sixteen
   at a time, those that share their upper four bits.

LLVM maps vectors of eight words to what the processor has.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

MAX_BITS = 255
"""Eight counter planes spell distances to 255."""
LANES, BLOCK, GROUP, COUNTERS = 8, 512, 16, 8
LOW, HIGH = 4, 6
"""Counter planes 0..3 are combined in registers, 4..5 and 6..7 through scratch memory."""
SPAN = 2**LOW
"""Distances that are counted, or passed over, together."""
SCRATCH = 8 * LANES

TERNARY = "+avx512f" in (get_host_cpu_features() if config.CPU_FEATURES is None else config.CPU_FEATURES)
"""Whether numba compiles for a processor with any function of three planes as one instruction (AVX-512).

LLVM does not find that instruction by itself, and cannot compile it for a processor without it.
"""

I32, I64 = ir.IntType(32), ir.IntType(64)
VECTOR = ir.VectorType(I64, LANES)
ZEROS, ONES = ir.Constant(VECTOR, [0] * LANES), ir.Constant(VECTOR, [-1] * LANES)


def _data(context, builder, signature, arguments, i):
    """Return the pointer to the i-th argument's first word."""
    return context.make_array(signature.args[i])(context, builder, arguments[i]).data


def _load(builder, pointer, index):
    return builder.load(builder.bitcast(builder.gep(pointer, [index]), VECTOR.as_pointer()), align=8)


def _store(builder, vector, pointer, index):
    builder.store(vector, builder.bitcast(builder.gep(pointer, [index]), VECTOR.as_pointer()), align=8)


def _full_adder(builder, x, y, z):
    """Return sum and carry of three planes: their parity and their majority."""
    if TERNARY:
        kind = ir.FunctionType(VECTOR, [VECTOR, VECTOR, VECTOR, I32])
        logic = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512.pternlog.q.512")
        return tuple(builder.call(logic, [x, y, z, ir.Constant(I32, table)]) for table in (0x96, 0xE8))
    differ = builder.xor(x, y)
    return builder.xor(differ, z), builder.or_(builder.and_(x, y), builder.and_(differ, z))


def _products(builder, start, planes):
    """Return the ANDs of all 2^k choices of plane or complement, the first plane the lowest bit of the choice."""
    products = start
    for plane in reversed(planes):
        both = (builder.xor(plane, ONES), plane)
        products = [builder.and_(x, y) for x in products for y in both] if products else list(both)
    return products


def _add_pairs(builder, counter, planes):
    """Add planes of one weight into the counter plane of that weight; return the carries, half as many."""
    count, carries = builder.load(counter), []
    for x, y in zip(planes[::2], planes[1::2], strict=True):
        count, carry = _full_adder(builder, count, x, y)
        carries.append(carry)
    builder.store(count, counter)
    return carries


def _ripple(builder, counters, carry):
    """Add one plane into the counter plane of its weight, and what carries into the next ones."""
    for counter in counters:
        count = builder.load(counter)
        builder.store(builder.xor(count, carry), counter)
        carry = builder.and_(count, carry)


@intrinsic
def add_planes(typingctx, planes, offsets, n_groups, counters):
    """Add 16 n_groups planes of one block into eight counter planes.

    ``planes[offsets[p] :]`` begins with the eight words of plane p. ``counters`` (64 words) is written: its words
    8 k to 8 k + 7 are counter plane k.
    """

    def codegen(context, builder, signature, arguments):
        data, starts, out = (_data(context, builder, signature, arguments, i) for i in (0, 1, 3))
        # The counter planes stay in registers throughout (LLVM promotes these slots), from 0.
        kept = [cgutils.alloca_once(builder, VECTOR) for _ in range(COUNTERS)]
        for slot in kept:
            builder.store(ZEROS, slot)
        with cgutils.for_range(builder, arguments[2]) as loop:
            first = builder.mul(loop.index, ir.Constant(I64, GROUP))
            level = []
            for k in range(GROUP):
                start = builder.load(builder.gep(starts, [builder.add(first, ir.Constant(I64, k))]))
                level.append(_load(builder, data, start))
            # 16 planes of weight 1 leave 8 carries of weight 2, then 4 of 4, 2 of 8, and one of weight 16 = 2^LOW.
            for counter in kept[:LOW]:
                level = _add_pairs(builder, counter, level)
            _ripple(builder, kept[LOW:], level[0])
        for k, slot in enumerate(kept):
            _store(builder, builder.load(slot), out, ir.Constant(I64, k * LANES))
        return context.get_dummy_value()

    return types.void(planes, offsets, types.intp, counters), codegen


def _span(builder, scratch, index):
    """Return the items of span ``index``: its lowest two bits choose a middle product, the others a high one."""
    n_middle = 2 ** (HIGH - LOW)
    middle = builder.and_(index, ir.Constant(I64, n_middle - 1))
    high = builder.add(builder.lshr(index, ir.Constant(I64, HIGH - LOW)), ir.Constant(I64, n_middle))
    lanes = ir.Constant(I64, LANES)
    return builder.and_(*(_load(builder, scratch, builder.mul(product, lanes)) for product in (middle, high)))


@intrinsic
def count_levels(typingctx, counters, mask, n_spans, scratch, counts):
    """Add to ``counts`` how many of the masked items have each distance below 16 n_spans.

    ``counters`` is from `add_planes`. ``counts[8 d : 8 d + 8]`` are eight partial counts of distance d, one for each
    word of the mask. ``scratch`` (64 words) is overwritten.
    """

    def codegen(context, builder, signature, arguments):
        source, masks, spare, out = (_data(context, builder, signature, arguments, i) for i in (0, 1, 3, 4))
        planes = [_load(builder, source, ir.Constant(I64, k * LANES)) for k in range(COUNTERS)]
        # In registers: for each value of a distance's lowest four bits, the masked items that have it.
        low = _products(builder, [_load(builder, masks, ir.Constant(I64, 0))], planes[:LOW])
        # In scratch: vectors 0..3, the items by the middle two bits; vectors 4..7, by the highest two.
        upper = _products(builder, [], planes[LOW:HIGH]) + _products(builder, [], planes[HIGH:])
        for k, product in enumerate(upper):
            _store(builder, product, spare, ir.Constant(I64, k * LANES))
        kind = ir.FunctionType(VECTOR, [VECTOR])
        count_bits = cgutils.get_or_insert_function(builder.module, kind, f"llvm.ctpop.v{LANES}i64")
        wide = ir.IntType(64 * LANES)
        with cgutils.for_range(builder, arguments[2]) as loop:
            chosen = _span(builder, spare, loop.index)
            # Many spans are empty: most distances are close together.
            with builder.if_then(builder.icmp_unsigned("!=", builder.bitcast(chosen, wide), ir.Constant(wide, 0))):
                first = builder.mul(loop.index, ir.Constant(I64, len(low) * LANES))
                for k, product in enumerate(low):
                    at = builder.add(first, ir.Constant(I64, k * LANES))
                    number = builder.call(count_bits, [builder.and_(product, chosen)])
                    _store(builder, builder.add(_load(builder, out, at), number), out, at)
        return context.get_dummy_value()

    return types.void(counters, mask, types.intp, scratch, counts), codegen
