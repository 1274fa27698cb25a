"""A live application as the seed's: frames as JPEG over a websocket, landmarks back."""

import io
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from websockets.sync.client import connect

from stream_client.sources.file import FileSource

pytestmark = pytest.mark.timeout(240)

APPLICATION = """
import asyncio
import os
import socket
import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from stream_client.compat.live_processing import FrameBuffer, HolisticProcessor, get_frame_kps, producer_handler

processor = HolisticProcessor()

async def ws_live_signs(websocket):
    await websocket.accept()
    buffer = FrameBuffer(max_size=30)
    producer = asyncio.create_task(producer_handler(websocket, buffer))
    index = 0
    while not producer.done():
        frame = buffer.get_frame(index)
        if frame is None:
            index = max(index, buffer.oldest_idx)
            await asyncio.sleep(0.005)
            continue
        keypoints = await get_frame_kps(processor, frame, timestamp_ms=index * 33)
        await websocket.send_json({"index": index, "nose": keypoints[0].tolist(), "oldest": buffer.oldest_idx})
        index += 1
    buffer.clear()
    print("ended", flush=True)

app = Starlette(routes=[WebSocketRoute("/ws/live_signs", ws_live_signs)])
uvicorn.run(app, fd=int(os.environ["SOCKET"]), log_level="warning")
processor.close()
"""


def test_jpeg_frames_come_in_and_landmarks_go_out(person: Path) -> None:
    source = FileSource(str(person))
    source.open()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        os.set_inheritable(listener.fileno(), True)
        application = subprocess.Popen(
            [sys.executable, "-c", APPLICATION],
            env={**os.environ, "SOCKET": str(listener.fileno())},
            pass_fds=[listener.fileno()],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            with connect(f"ws://127.0.0.1:{listener.getsockname()[1]}/ws/live_signs", open_timeout=30) as websocket:
                websocket.send(b"this is no JPEG")
                answers = []
                for index in range(6):
                    frame = source.read()
                    assert frame is not None
                    file = io.BytesIO()
                    PillowImage.fromarray(frame.image).save(file, "JPEG", quality=90)
                    websocket.send(file.getvalue())
                    answer = json.loads(websocket.recv(timeout=60))
                    assert answer["index"] == index
                    answers.append(answer["nose"])
            assert application.stdout is not None
            assert application.stdout.readline() == "ended\n"
        finally:
            application.terminate()
            application.communicate(timeout=10)
            source.close()
    seen = np.array(answers, dtype=float)[2:]  # the tracker finds the person in the second frame
    assert np.isfinite(seen).all()
    assert np.ptp(seen[:, 0]) < 60  # the person walks, and does not jump
