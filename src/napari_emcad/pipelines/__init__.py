"""The verbs for Python and the command line: segment, train, evaluate, stage maps."""
