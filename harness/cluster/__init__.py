"""The kinds of cluster behind one protocol: kind, existing and emulated."""
