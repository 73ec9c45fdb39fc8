"""Gramian angular fields: one arithmetic for arrays and tensors."""
