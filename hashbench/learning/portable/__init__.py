"""Arithmetic that gives the same bits on every processor, with any number of threads.

Libraries of linear algebra add up in an order that suits the processor, so that their last bits differ. Two ways lead
around that. What is large goes through their products, of numbers rounded to so few binary digits that every sum is
exact (`exact`). What is small is compiled here: additions and multiplications in a stated order, none of them fused,
none reordered (`lanes`, `eigen`, `rotations`, `decisions`). Of numpy only what works on single elements, or adds in a
fixed order, is used.
"""
