"""OVMS's Python nodes: the module ``pyovms``, and scripts with a class ``OvmsPythonModel``."""
