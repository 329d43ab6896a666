"""Detectors measured: games are played with known plants, and the figures of the log are printed. No entry of `scores.DETECTORS` imports any of it."""
