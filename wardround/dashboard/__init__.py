"""The pages on which runs are looked at, offline and on this machine."""
