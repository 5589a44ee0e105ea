"""What models used and what it cost: kept in the room, one row for each answer of a provider."""
