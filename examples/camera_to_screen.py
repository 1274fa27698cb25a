"""A camera, or any other source, in a window. Q or Escape ends the run.

    python examples/camera_to_screen.py [SOURCE] [--output screen]

SOURCE is a camera's number, a path or a URL; without it the test source runs. Needs the extra `screen`.
"""

import argparse

from stream_client import StreamClient

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("source", nargs="?", default="testsrc:640x480@15")
parser.add_argument("--output", default="screen")
options = parser.parse_args()
StreamClient(options.source, options.output).run()
