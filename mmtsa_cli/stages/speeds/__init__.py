"""The rows of `benchmark --speed`: each measures one thing beside the naive way."""
