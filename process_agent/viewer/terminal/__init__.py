"""The interactive terminal: pure parsing and rendering, and the loop around them."""
