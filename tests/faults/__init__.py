"""Nothing lost: what goes wrong under a stage, and whether its command given again ends where it would have ended."""
