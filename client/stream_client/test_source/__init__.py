"""The source ``testsrc``, whose frames carry their number and time, and what reads them back."""
