"""A script written for the helper of OVMS's demo runs unchanged."""

import json
from pathlib import Path

import numpy as np
import pytest

from stream_client import StreamClient
from tests.support.kserve_server import ScriptedServer
from tests.support.video import picture, read_back


@pytest.mark.parametrize("streaming", [True, False])
def test_the_demos_script_writes_every_frame(
    clip: Path, tmp_path: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str], streaming: bool
) -> None:
    # What demos/real_time_stream_analysis/python/client.py does, with NumPy instead of cv2.cvtColor.
    def preprocess(frame):  # type: ignore[no-untyped-def]
        return frame[:, :, ::-1]

    def postprocess(frame, result):  # type: ignore[no-untyped-def]
        timestamps.append(result.get_response().parameters["OVMS_MP_TIMESTAMP"].int64_param)
        return result.as_numpy("output")[:, :, ::-1]

    timestamps: list[int] = []
    client = StreamClient(
        postprocess_callback=postprocess,
        preprocess_callback=preprocess,
        output_backend=StreamClient.OutputBackends.cv2,
        source=str(clip),
        sink=str(tmp_path / "out.mp4"),
        exact=True,
        benchmark=True,
        verbose=False,
    )
    client.start(
        ovms_address=server.address,
        input_name="image",
        model_name="graph",
        datatype=StreamClient.Datatypes.uint8,
        batch=False,
        limit_stream_duration=0,
        limit_frames=0,
        streaming_api=streaming,
    )
    frames = read_back(tmp_path / "out.mp4")
    assert len(frames) == len(timestamps) == 30
    assert timestamps == sorted(timestamps)
    assert np.abs(frames[9][1].astype(int) - picture(9)).mean() < 12
    assert json.loads(capsys.readouterr().out)["frames"] == 30


def test_the_demos_defaults_send_a_batch_of_floats(clip: Path, server: ScriptedServer) -> None:
    seen: list[tuple[int, ...]] = []

    def postprocess(frame, result):  # type: ignore[no-untyped-def]
        seen.append(result.as_numpy("output").shape)
        return frame

    client = StreamClient(
        postprocess_callback=postprocess, source=str(clip), sink="", output_backend=StreamClient.OutputBackends.none
    )

    def script(request, number):  # type: ignore[no-untyped-def]
        from tests.support.kserve_server import answer

        response = answer(request, "output")
        response.outputs[0].datatype = "FP32"
        yield response

    server.script = script
    client.start(ovms_address=server.address, input_name="image", model_name="graph", limit_frames=4)
    assert seen == [(1, 48, 64, 3)] * 4
