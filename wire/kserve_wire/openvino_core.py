"""OpenVINO's core, made so that signals do no harm."""

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import openvino as ov


def new_core() -> "ov.Core":
    """A core whose CPU plugin is loaded, in a thread that has ended.

    The plugin gives the thread that loads it a stack for signals, and takes it away when the core goes
    (OpenVINO 2026.4, ``SigAltStackSetup``). Of several cores, one may leave that thread the stack of another that is
    gone. In the main thread the next Ctrl-C, which Python handles on that stack, would crash the process.
    """
    import openvino as ov  # no dependency of this package: who has no models needs none

    core = ov.Core()
    thread = threading.Thread(target=_load_cpu_plugin, args=(core,), name="CPU plugin")
    thread.start()
    thread.join()
    return core


def _load_cpu_plugin(core: "ov.Core") -> None:
    with suppress(RuntimeError):  # without that plugin, whoever needs it says so
        core.get_property("CPU", "FULL_DEVICE_NAME")
