"""Measuring a model: retrieval, zero-shot classification and methods of the benchmarks."""
