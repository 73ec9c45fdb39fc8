"""What surrounds a training: its directory while it is unfinished, its processes, the run that it leaves."""
