"""Proofs of machines: who is asked whether they are right."""
