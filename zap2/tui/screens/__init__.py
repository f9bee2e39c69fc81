"""One screen or dialog a module, its style sheet beside it."""
