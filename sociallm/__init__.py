"""SociaLLM: a state-space language model that remembers itself and each interlocutor. Knows no agents, no worlds."""
