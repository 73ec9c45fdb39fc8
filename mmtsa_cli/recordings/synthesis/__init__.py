"""Synthetic recordings with known answers."""
