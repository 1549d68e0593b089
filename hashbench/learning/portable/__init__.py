"""Arithmetic that gives the same bits on every processor, with any number of threads.

Libraries of linear algebra sum in an order that depends on the processor, so their last bits differ. There are two ways
around that. Large products use the libraries, with factors rounded to so few binary digits that every sum is exact
(`exact`). Small computations are compiled here, with additions and multiplications in a fixed order, not fused and not
reordered (`lanes`, `eigen`, `rotations`, `decisions`). Of numpy, only element-wise functions and sums in a fixed order
are used.
"""
