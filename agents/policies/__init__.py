"""The table of policies: a name in YAML, a class here."""
