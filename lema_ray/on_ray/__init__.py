"""The edge to Ray: the only modules of the package that import it."""
