"""The mail channel: parsing, composing and threading are pure; storage and SMTP are thin shells."""
