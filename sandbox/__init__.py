"""The machinery: what is run, when, where, and what is written down."""
