"""Systems behind one contract."""
