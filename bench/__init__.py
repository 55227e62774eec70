"""Benchmarks: not part of the tests. Each prints JSON and a table and names its workload, sizes, machine and spread."""
