"""Pure codecs: bytes or JSON to and from core types."""
