"""What is done with frames before they are sent, and with answers after."""
