"""What `check` keeps and counts."""
