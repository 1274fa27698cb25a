"""HDR to SDR, by FFmpeg's filter lut3d with a table made here: BT.2020 with PQ or HLG to BT.709.

FFmpeg's scale filter maps as well, but makes its table for 5 seconds, in which a live source loses its frames.
"""

import os
import tempfile

import av
import av.filter
import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

PQ, HLG = 16, 18
_WHITE, _PEAK = 203.0, 1000.0
"""Candela per square meter: white of SDR in HDR (ITU-R BT.2408, 2.2), and the brightest light of most HDR video."""
_SIZE = 33
"""Entries a side of the table; FFmpeg interpolates between them."""
_BT2020_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]  # ITU-R BT.2087, annex 2
)

_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
"""PQ's constants. Source: SMPTE ST 2084, as in ITU-R BT.2100, table 4."""


class ToneMapper:
    """Maps frames of one stream, which may change their size. For one thread."""

    def __init__(self) -> None:
        self._graph: av.filter.Graph | None = None
        self._takes: tuple[object, ...] = ()

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The frame as RGB of BT.709. Raises FFmpeg's error for a frame that it cannot convert."""
        takes = (frame.width, frame.height, frame.format.name, frame.color_trc)
        if self._graph is None or self._takes != takes:
            self._graph = _graph(frame)
            self._takes = takes
        try:
            self._graph.push(frame)
            mapped = self._graph.pull()
        except BaseException:
            self._graph = None  # it cannot be used after an error
            raise
        assert isinstance(mapped, av.VideoFrame)
        return mapped


def _graph(frame: av.VideoFrame) -> av.filter.Graph:
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    deep = graph.add("format", "gbrp10le")
    with tempfile.NamedTemporaryFile("w", suffix=".cube", delete=False) as file:
        file.write(_cube(frame.color_trc))
    try:
        table = graph.add("lut3d", file=file.name, interp="tetrahedral")
        rgb = graph.add("format", "rgb24")
        graph.link_nodes(source, deep, table, rgb, graph.add("buffersink")).configure()
    finally:
        os.unlink(file.name)
    return graph


def _cube(transfer: int) -> str:
    """The table in Adobe's cube format: red changes fastest."""
    steps = np.linspace(0.0, 1.0, _SIZE)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    rows = to_sdr(np.stack([red, green, blue], axis=-1).reshape(-1, 3), transfer)
    return f"LUT_3D_SIZE {_SIZE}\n" + "".join(f"{r:.6f} {g:.6f} {b:.6f}\n" for r, g, b in rows.tolist())


def to_sdr(values: Values, transfer: int) -> Values:
    """RGB of BT.2020 [n, 3], 0…1, coded with ``transfer``, as RGB of BT.709, 0…1, for a display of gamma 2.4."""
    light = _hlg_light(values) if transfer == HLG else _pq_light(values)
    light = np.maximum(light @ _BT2020_TO_BT709.T, 0.0)
    brightest = np.maximum(light.max(axis=1, keepdims=True), 1e-6)
    # The same factor for the three colors keeps the hue.
    mapped = light * (_compressed(brightest) / brightest) / _WHITE
    return np.asarray(np.clip(mapped, 0.0, 1.0) ** (1 / 2.4))


def _pq_light(values: Values) -> Values:
    """Candela per square meter of PQ's values."""
    power = np.clip(values, 0.0, 1.0) ** (1 / _M2)
    return np.asarray(10_000 * (np.maximum(power - _C1, 0.0) / (_C2 - _C3 * power)) ** (1 / _M1))


def _pq_values(light: Values | float) -> Values:
    """PQ's values, 0…1, of candela per square meter."""
    power = (np.asarray(light) / 10_000) ** _M1
    return np.asarray(((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2)


def _hlg_light(values: Values) -> Values:
    """Candela per square meter of HLG's values on a display of 1000. Source: ITU-R BT.2100, table 5."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(values <= 0.5, values**2 / 3, (np.exp((values - c) / a) + b) / 12)
    luminance = scene @ np.array([0.2627, 0.6780, 0.0593])
    return np.asarray(_PEAK * scene * luminance[:, None] ** 0.2)


def _compressed(light: Values) -> Values:
    """Light up to the peak, brought below white by a smooth knee. Source: ITU-R BT.2390-8, 5.4.1."""
    top = _pq_values(_PEAK)
    white = _pq_values(_WHITE) / top
    knee = 1.5 * white - 0.5
    value = np.minimum(_pq_values(light) / top, 1.0)
    t = np.maximum(value - knee, 0.0) / (1 - knee)
    bent = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * white
    return _pq_light(np.where(value < knee, value, bent) * top)
