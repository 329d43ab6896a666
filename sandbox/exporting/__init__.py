"""Runs as training dialogues: `python -m sandbox export RUN… --format messages --out DIR`. In Python: `from sandbox.exporting.export import export`."""
