"""OpenVINO's core, made so that signals do no harm."""

import threading
from contextlib import suppress

import openvino as ov


def new_core() -> ov.Core:
    """A core whose CPU plugin is loaded, in a thread that has ended.

    The plugin gives the thread that loads it a stack for signals, and takes it away when the core goes
    (OpenVINO 2026.4, ``SigAltStackSetup``). Of several cores, one may leave that thread the stack of another that is
    gone. In the main thread the next Ctrl-C, which Python handles on that stack, would crash the process.
    """
    core = ov.Core()
    thread = threading.Thread(target=_load_cpu_plugin, args=(core,), name="CPU plugin")
    thread.start()
    thread.join()
    return core


def _load_cpu_plugin(core: ov.Core) -> None:
    with suppress(RuntimeError):  # without that plugin, whoever needs it says so
        core.get_property("CPU", "FULL_DEVICE_NAME")
