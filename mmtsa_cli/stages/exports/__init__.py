"""The parts of `export`: the graph, what it is held against, its card."""
