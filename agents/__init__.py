"""Minds: what is seen, remembered, said and done."""
