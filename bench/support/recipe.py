"""Tensors that are defined by a formula: golden/README.md, section 2; recipeValues in TypeScript."""

import numpy

CHUNK = 1 << 18


def recipe_values(salt, name, shape, low, high):
    """float32 of this shape; a chunk at a time, as temporaries count where memory is measured."""
    start = 2166136261
    for byte in f"{salt}/{name}".encode():
        start = ((start ^ byte) * 16777619) & 0xFFFFFFFF
    values = numpy.empty(int(numpy.prod(shape)), numpy.float32)
    for begin in range(0, values.size, CHUNK):
        index = numpy.arange(begin, min(begin + CHUNK, values.size), dtype=numpy.uint32)
        x = index * numpy.uint32(0x9E3779B9) + numpy.uint32(start)
        x ^= x >> numpy.uint32(16)
        x *= numpy.uint32(0x85EBCA6B)
        x ^= x >> numpy.uint32(13)
        x *= numpy.uint32(0xC2B2AE35)
        x ^= x >> numpy.uint32(16)
        u = x / 2**31 - 1
        values[begin : begin + x.size] = low + (u + 1) / 2 * (high - low)
    return values.reshape(shape)
