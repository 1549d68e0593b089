"""All compiled loops over codes: distances, their histograms, nearest items (numba, all cores).

Codes are word-major: ``words[w, j]`` is the w-th 64-bit word of item j, so that a loop over items reads
memory in order and vectorises.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.extending import intrinsic

QUERY_BLOCK = 32
"""Queries that share one thread's scratch memory."""
TILE = 4096
"""Items whose distances lie in the first-level cache between being computed and being counted."""
PAIRED_PER_CELL = 3
"""Items per cell of a joint histogram from which counting distances in pairs pays for folding it."""


@intrinsic
def popcount(typingctx, value):
    """Count the set bits of a uint64 with the processor's own instruction."""

    def codegen(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), codegen


@intrinsic
def load_eight(typingctx, buffer, index):
    """Read eight bytes of a uint8 array, from ``index`` on, as one integer; their order does not matter."""

    def codegen(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        address = builder.gep(array.data, [arguments[1]])
        return builder.load(builder.bitcast(address, ir.IntType(64).as_pointer()), align=1)

    return types.uint64(buffer, types.intp), codegen


BYTE, PAIR = np.uint64(255), np.uint64(65535)
SHIFTS = tuple(np.uint64(8 * byte) for byte in range(8))


@njit
def _distances(query, words, start, stop, buffer):
    """Write the Hamming distances of items start..stop to one query into ``buffer``."""
    n = stop - start
    first = query[0]
    row = words[0, start:stop]
    for j in range(n):
        buffer[j] = popcount(first ^ row[j])
    for w in range(1, len(query)):
        word = query[w]
        row = words[w, start:stop]
        for j in range(n):
            buffer[j] += popcount(word ^ row[j])


@njit
def _count_eights(buffer, n, tables):
    """Count uint8 values into eight tables, eight values a read, so that increments do not wait in line."""
    whole = n - n % 8
    for j in range(0, whole, 8):
        eight = load_eight(buffer, j)
        tables[0, eight & BYTE] += 1
        tables[1, (eight >> SHIFTS[1]) & BYTE] += 1
        tables[2, (eight >> SHIFTS[2]) & BYTE] += 1
        tables[3, (eight >> SHIFTS[3]) & BYTE] += 1
        tables[4, (eight >> SHIFTS[4]) & BYTE] += 1
        tables[5, (eight >> SHIFTS[5]) & BYTE] += 1
        tables[6, (eight >> SHIFTS[6]) & BYTE] += 1
        tables[7, eight >> SHIFTS[7]] += 1
    for j in range(whole, n):
        tables[0, buffer[j]] += 1


@njit
def _count_pairs(buffer, n, joint):
    """Count uint8 values two at a time into a joint table, at twice the values per increment."""
    whole = n - n % 8
    for j in range(0, whole, 8):
        eight = load_eight(buffer, j)
        joint[eight & PAIR] += 1
        joint[(eight >> SHIFTS[2]) & PAIR] += 1
        joint[(eight >> SHIFTS[4]) & PAIR] += 1
        joint[eight >> SHIFTS[6]] += 1
    return whole


@njit
def _histogram8(query, words, start, stop, out, buffer, tables, joint):
    """Add the distance histogram of items start..stop to ``out``; distances up to 255."""
    n_levels = len(out)
    if stop - start >= PAIRED_PER_CELL * n_levels * n_levels:
        for tile in range(start, stop, TILE):
            n = min(TILE, stop - tile)
            _distances(query, words, tile, tile + n, buffer)
            for j in range(_count_pairs(buffer, n, joint), n):
                out[buffer[j]] += 1
        for high in range(n_levels):
            base = high << 8
            row_sum = 0
            for low in range(n_levels):
                count = joint[base + low]
                row_sum += count
                out[low] += count
                joint[base + low] = 0
            out[high] += row_sum
        return
    for tile in range(start, stop, TILE):
        n = min(TILE, stop - tile)
        _distances(query, words, tile, tile + n, buffer)
        _count_eights(buffer, n, tables)
    for d in range(n_levels):
        for t in range(8):
            out[d] += tables[t, d]
            tables[t, d] = 0


@njit
def _histogram16(query, words, start, stop, out, buffer):
    """Add the distance histogram of items start..stop to ``out``; distances of any size to 65,535."""
    for tile in range(start, stop, TILE):
        n = min(TILE, stop - tile)
        _distances(query, words, tile, tile + n, buffer)
        for j in range(n):
            out[buffer[j]] += 1


@njit(parallel=True, cache=True)
def histograms_by_class(queries, query_class, words, starts, total, relevant):
    """Add the distance histograms of a database that is ordered by class.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_words), uint64
    query_class : ndarray of shape (n_queries,), int64
        Position of the query's class in ``starts``; −1 where the database has no item of it.
    words : ndarray of shape (n_words, n_items), uint64
    starts : ndarray of shape (n_classes + 1,), int64
        Class c lies at ``starts[c]:starts[c + 1]``: no label is ever compared.
    total, relevant : ndarray of shape (n_queries, n_bits + 1), int64
        Added to in place.
    """
    n_queries, n_items = len(queries), words.shape[1]
    small = total.shape[1] <= 256
    for block in prange((n_queries + QUERY_BLOCK - 1) // QUERY_BLOCK):
        buffer8 = np.empty(TILE, np.uint8)
        buffer16 = np.empty(TILE if not small else 1, np.uint16)
        tables = np.zeros((8, 256), np.uint32)
        joint = np.zeros(65536 if small else 1, np.uint32)
        own = np.empty(total.shape[1], np.int64)
        for i in range(block * QUERY_BLOCK, min(n_queries, (block + 1) * QUERY_BLOCK)):
            begin, end = 0, 0
            if query_class[i] >= 0:
                begin, end = starts[query_class[i]], starts[query_class[i] + 1]
            own[:] = 0
            if small:
                _histogram8(queries[i], words, begin, end, own, buffer8, tables, joint)
                _histogram8(queries[i], words, 0, begin, total[i], buffer8, tables, joint)
                _histogram8(queries[i], words, end, n_items, total[i], buffer8, tables, joint)
            else:
                _histogram16(queries[i], words, begin, end, own, buffer16)
                _histogram16(queries[i], words, 0, begin, total[i], buffer16)
                _histogram16(queries[i], words, end, n_items, total[i], buffer16)
            for d in range(len(own)):
                total[i, d] += own[d]
                relevant[i, d] += own[d]


@njit(parallel=True, cache=True)
def histograms_by_mask(queries, query_masks, words, masks, total, relevant):
    """Add the distance histograms of a multi-label database: items sharing a label are relevant.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_words), uint64
    query_masks : ndarray of shape (n_queries, n_mask_words), uint64
    words : ndarray of shape (n_words, n_items), uint64
    masks : ndarray of shape (n_mask_words, n_items), uint64
    total, relevant : ndarray of shape (n_queries, n_bits + 1), int64
        Added to in place.
    """
    n_queries, n_items = len(queries), words.shape[1]
    n_levels = total.shape[1]
    packed = n_levels <= 128
    for block in prange((n_queries + QUERY_BLOCK - 1) // QUERY_BLOCK):
        buffer8 = np.empty(TILE, np.uint8)
        buffer16 = np.empty(TILE if not packed else 1, np.uint16)
        shares = np.empty(TILE, np.uint8)
        tables = np.zeros((8, 256), np.uint32)
        for i in range(block * QUERY_BLOCK, min(n_queries, (block + 1) * QUERY_BLOCK)):
            for tile in range(0, n_items, TILE):
                n = min(TILE, n_items - tile)
                _shares(query_masks[i], masks, tile, tile + n, shares)
                if packed:
                    _distances(queries[i], words, tile, tile + n, buffer8)
                    for j in range(n):
                        buffer8[j] |= shares[j] << 7
                    _count_eights(buffer8, n, tables)
                else:
                    _distances(queries[i], words, tile, tile + n, buffer16)
                    for j in range(n):
                        total[i, buffer16[j]] += 1
                        relevant[i, buffer16[j]] += shares[j]
            if packed:
                for d in range(n_levels):
                    for t in range(8):
                        total[i, d] += tables[t, d] + tables[t, d + 128]
                        relevant[i, d] += tables[t, d + 128]
                        tables[t, d] = 0
                        tables[t, d + 128] = 0


@njit
def _shares(query_mask, masks, start, stop, shares):
    """Write 1 where an item shares a label with the query, else 0."""
    n = stop - start
    first = query_mask[0]
    row = masks[0, start:stop]
    for j in range(n):
        shares[j] = (first & row[j]) != 0
    for w in range(1, len(query_mask)):
        word = query_mask[w]
        row = masks[w, start:stop]
        for j in range(n):
            shares[j] |= (word & row[j]) != 0


@njit(parallel=True, cache=True)
def histograms_by_shared(queries, query_masks, words, masks, shared):
    """Add the joint histograms of distance and number of shared labels, for graded relevance.

    Parameters
    ----------
    queries, query_masks, words, masks : ndarray
        As in `histograms_by_mask`.
    shared : ndarray of shape (n_queries, n_bits + 1, max_shared + 1), int64
        Added to in place.
    """
    n_queries, n_items = len(queries), words.shape[1]
    for block in prange((n_queries + QUERY_BLOCK - 1) // QUERY_BLOCK):
        buffer = np.empty(TILE, np.uint16)
        counts = np.empty(TILE, np.uint16)
        for i in range(block * QUERY_BLOCK, min(n_queries, (block + 1) * QUERY_BLOCK)):
            for tile in range(0, n_items, TILE):
                n = min(TILE, n_items - tile)
                _distances(queries[i], words, tile, tile + n, buffer)
                for j in range(n):
                    counts[j] = 0
                for w in range(masks.shape[0]):
                    word = query_masks[i, w]
                    row = masks[w, tile : tile + n]
                    for j in range(n):
                        counts[j] += popcount(word & row[j])
                for j in range(n):
                    shared[i, buffer[j], counts[j]] += 1


@njit(parallel=True, cache=True)
def histograms_of_items(queries, words, items, counts):
    """Add the distance histograms of listed items, such as each query's true neighbours.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_words), uint64
    words : ndarray of shape (n_words, n_items), uint64
    items : ndarray of shape (n_queries, k), int64
        Item numbers; negative ones are passed over.
    counts : ndarray of shape (n_queries, n_bits + 1), int64
        Added to in place.
    """
    for i in prange(len(queries)):
        for j in items[i]:
            if j >= 0:
                d = 0
                for w in range(words.shape[0]):
                    d += popcount(queries[i, w] ^ words[w, j])
                counts[i, d] += 1


@njit(parallel=True, cache=True)
def nearest(queries, words, n_bits, k):
    """Return the k nearest items of each query by Hamming distance, ties by item number.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_words), uint64
    words : ndarray of shape (n_words, n_items), uint64
    n_bits, k : int
        k at most n_items.

    Returns
    -------
    items : ndarray of shape (n_queries, k), int64
    distances : ndarray of shape (n_queries, k), int32
    """
    n_queries, n_items = len(queries), words.shape[1]
    items = np.empty((n_queries, k), np.int64)
    distances = np.empty((n_queries, k), np.int32)
    for block in prange((n_queries + QUERY_BLOCK - 1) // QUERY_BLOCK):
        buffer = np.empty(n_items, np.uint16)
        for i in range(block * QUERY_BLOCK, min(n_queries, (block + 1) * QUERY_BLOCK)):
            _distances(queries[i], words, 0, n_items, buffer)
            place = np.zeros(n_bits + 2, np.int64)
            for j in range(n_items):
                place[buffer[j] + 1] += 1
            for d in range(1, n_bits + 2):
                place[d] += place[d - 1]
            limit = 0
            while place[limit + 1] < k:
                limit += 1
            for j in range(n_items):
                d = buffer[j]
                if d <= limit and place[d] < k:
                    items[i, place[d]] = j
                    distances[i, place[d]] = d
                    place[d] += 1
    return items, distances


@njit(parallel=True, cache=True)
def bare_pass(queries, words, sums):
    """Sum each query's distances: xor and popcount alone, the floor that histograms are measured against."""
    n_items = words.shape[1]
    for i in prange(len(queries)):
        found = np.uint64(0)
        for w in range(words.shape[0]):
            word = queries[i, w]
            row = words[w]
            for j in range(n_items):
                found += popcount(word ^ row[j])
        sums[i] += found
