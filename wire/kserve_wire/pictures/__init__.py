"""Pictures that client and server must decode, convert and draw alike, to the last pixel.

The modules load PyAV, Pillow or OpenCV; the rest of the wire does not.
"""

MAX_PIXELS = 8192 * 4320
"""The most pixels of a frame: DCI 8K. A frame takes three bytes a pixel, and more while it is decoded."""
BT709, UNDECLARED = 1, 2
"""Code points of ITU-T H.273."""
ROW_ALIGNMENT = 16
"""OVMS returns drawn images sheared unless the width is a multiple of this: it copies padded rows."""
