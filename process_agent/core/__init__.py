"""Pure domain types, state machines and ports: no asyncio, no sockets, no clock."""
