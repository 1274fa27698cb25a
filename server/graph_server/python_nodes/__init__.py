"""OVMS's Python nodes: ``pyovms.Tensor``, and the scripts with an ``OvmsPythonModel``."""
