"""Reads logs and conversations, touches nothing alive."""
