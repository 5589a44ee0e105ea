"""Where threads work: snapshots of the folder around each turn, undo and redo, work trees."""
