"""Floor 4: what is open now, what may run, what came of it; Qt-free, evented."""
