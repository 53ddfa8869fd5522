"""Runs what nvcc made of the CUDA kernels, their PTX, without a GPU; and counts what a GPU would have to do.

`program` reads PTX, `arithmetic` says what an instruction computes, `memory` checks and counts accesses, `machine` runs
threads, and `operators` takes the calls of the library's operators there. Together they document what we rely on.
"""
