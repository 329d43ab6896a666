"""A game of hidden roles: a few know who is evil, the rest must find out from votes, quests and words (rules.py)."""
