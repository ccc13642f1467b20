"""The tricks of the rows of attacks, each a way to write what a rule forbids. Pure."""
