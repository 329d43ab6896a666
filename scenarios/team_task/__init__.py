"""A hidden profile: a team in which each knows a little must find the culprit by talking; what the clues say together is computed."""
