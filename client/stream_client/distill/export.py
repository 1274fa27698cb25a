"""A student as ONNX and as OpenVINO IR."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino
import torch

from kserve_wire.openvino_core import new_core
from stream_client.distill.joints import Array
from stream_client.distill.samples import CROP_SIDE
from stream_client.distill.student import Student

INPUT, JOINTS, ERRORS = "images", "joints", "errors"


@dataclass(frozen=True, slots=True)
class Exported:
    """The files of a student. The IR also has a ``.bin`` beside it."""

    onnx: Path
    ir: Path


def export(student: Student, folder: Path, name: str) -> Exported:
    """Write ``NAME.onnx``, ``NAME.xml`` and ``NAME.bin``. Input and outputs are those of the student, for any number of
    crops.
    """
    files = Exported(folder / f"{name}.onnx", folder / f"{name}.xml")
    student.eval()
    example = torch.zeros((2, CROP_SIDE, CROP_SIDE, 3), dtype=torch.uint8)
    with _quiet_exporter():
        torch.onnx.export(
            student,
            (example,),
            str(files.onnx),
            input_names=[INPUT],
            output_names=[JOINTS, ERRORS],
            dynamic_shapes={"images": {0: torch.export.Dim("crops")}},
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    # Weights stay in float32: the student is small, and its answers are those of PyTorch.
    openvino.save_model(new_core().read_model(files.onnx), files.ir, compress_to_fp16=False)
    return files


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """The exporter warns of its own parts, and that torchvision is not there."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


class Compiled:
    """An exported student on this machine's CPU, in float32."""

    def __init__(self, file: Path) -> None:
        # Without the hint a processor may compute in bfloat16.
        options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        self._model = new_core().compile_model(str(file), "CPU", options)

    def __call__(self, crops: npt.NDArray[np.uint8]) -> tuple[Array, Array]:
        """Joints and expected errors of crops, uint8 [n, 128, 128, 3]."""
        answer = self._model({INPUT: crops})
        return np.asarray(answer[JOINTS]), np.asarray(answer[ERRORS])
