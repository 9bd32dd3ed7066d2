"""Changes to a cluster that are undone, also after this process was killed.

undo_log           a file of what was created and changed, written before it is done
temporary_changes  manifests applied, and objects patched, for the length of a block
"""
