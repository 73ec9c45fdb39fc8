"""The training loop, for any network and any batches."""
