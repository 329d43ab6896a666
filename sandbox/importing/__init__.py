"""Logs from elsewhere as runs: `python -m sandbox import FILE… --format F --out FOLDER`. In Python: `from sandbox.importing.bring import bring`."""
