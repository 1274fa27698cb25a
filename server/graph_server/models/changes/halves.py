"""Cuts a network in two, so that each half can compute in a type of its own.

OpenVINO's CPU device has one precision for a whole model.
"""

import numpy as np
import openvino as ov
import openvino.opset13 as ops


def halves(model: ov.Model, side: int) -> tuple[ov.Model, ov.Model]:
    """``model``, which is used up, as two models: the second takes the only output of the first.

    The cut is where one tensor [1, channels, ``side``, ``side``] is all that goes on: the last of those with the fewest
    channels. Raises :class:`ValueError` where there is none.
    """
    nodes, constant = [], set[str]()
    for node in model.get_ordered_ops():
        before = [value.get_node().get_friendly_name() for value in node.input_values()]
        if node.get_type_name() == "Constant" or (before and constant.issuperset(before)):
            constant.add(node.get_friendly_name())
        elif node.get_output_size() == 1:
            nodes.append(node)
    place = {node.get_friendly_name(): index for index, node in enumerate(nodes)}
    narrow: dict[int, ov.Node] = {}
    reach = 0  # the last node that takes something from those before
    for index, node in enumerate(nodes):
        alone = reach <= index
        readers = (port.get_node().get_friendly_name() for port in node.output(0).get_target_inputs())
        reach = max([reach, *(place.get(name, len(nodes)) for name in readers)])
        shape = list(node.get_output_shape(0))
        if alone and len(shape) == 4 and shape[2:] == [side, side]:
            narrow[shape[1]] = node
    if not narrow:
        raise ValueError(f"{model.get_friendly_name()} has no place to cut at {side}x{side}")
    last = narrow[min(narrow)]
    taken = ops.parameter(last.get_output_shape(0), np.float32)
    for port in list(last.output(0).get_target_inputs()):
        port.replace_source_output(taken.output(0))
    names = [port.get_names() for port in model.outputs]
    rest = ov.Model([result.input_value(0) for result in model.get_results()], [taken], "rest")
    for port, known in zip(rest.outputs, names, strict=True):
        port.get_tensor().add_names(known)
    return ov.Model([last.output(0)], model.get_parameters(), "first"), rest
