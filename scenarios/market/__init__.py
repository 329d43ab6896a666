"""Sellers who set prices, or bid, and may talk: a market whose equilibria are known (demand.py, auction.py)."""
