"""What `benchmark` and `ablate` share: units trained in processes of their own, and tables made of them."""
