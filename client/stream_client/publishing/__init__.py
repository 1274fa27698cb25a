"""Live outputs: one encoder for outputs that want the same, one publisher with recovery, and its wires."""
