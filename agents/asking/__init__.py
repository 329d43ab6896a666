"""Asking a server that speaks the chat-completions protocol: which may be called, how it is reached, what of its answer is held, what it comes to."""
