"""`python -m analysis view RUN`: a run as one HTML page that needs nothing else, with a moment to choose that all of it follows."""
