"""Shell completion: what the shells ask (`answers`), the commands as data (`outline`), their scripts."""
