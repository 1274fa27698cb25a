"""What the command's exit status means; 0 is success, 128 and more the signal that ended it."""

RUN_ERROR = 1
USAGE_ERROR = 2
"""As argparse has it."""
