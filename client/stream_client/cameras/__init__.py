"""Which cameras there are: at this machine, and on the network."""
