"""Diplomacy: map, adjudicator, press with a meaning, a negotiator, and the environment that joins them."""
