"""What `predict`, streams and `explain` share: recordings held against a run, its networks."""
