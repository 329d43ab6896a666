"""Runs teach the model that plays the next ones: `python -m sandbox loop scenarios/team_task.yaml generations=4`. The stages stand in `loop.py`."""
