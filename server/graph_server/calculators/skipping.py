"""How a node of holistic inference skips frames, from its options."""

from graph_server.graph.messages import HolisticFrameSkippingOptions
from graph_server.graph.node import Node
from graph_server.holistic.frame_skipping import EVERY_FRAME, FrameSkipping


def skipping_of(node: Node) -> FrameSkipping:
    """What ``HolisticFrameSkippingOptions`` say; every frame without them."""
    options = node.options.get(HolisticFrameSkippingOptions)
    if options is None:
        return EVERY_FRAME
    return FrameSkipping(options.confirm_every, options.search_every, options.update_every)
