"""The one way to check a claim: a measurement, its limit, and a control that must fail.

Behind the door: ``claims``, the ledger and its records; ``badges``, how a record reads.
"""

from lib.evidence._check import Check, check, ledger, records, refute, status, verdict

__all__ = ["Check", "check", "ledger", "records", "refute", "status", "verdict"]
