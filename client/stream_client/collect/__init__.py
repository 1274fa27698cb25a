"""Which frames are worth keeping, and the data sets they become."""
