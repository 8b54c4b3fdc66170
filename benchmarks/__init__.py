"""Side by side with what one would use otherwise: ``python -m benchmarks [names…]``, or ``make bench``.

Every workload gives the same work to this library and to its peers, checks that they agree, and times them in
turn; the table at the end shows ratios of CPU time and the accuracy that each has reached.
"""
