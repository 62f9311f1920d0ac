"""Ridge regression as pure functions on arrays."""
