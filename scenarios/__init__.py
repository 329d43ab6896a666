"""Worlds: rules as pure functions of values, and the YAML beside them."""
