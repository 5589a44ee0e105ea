"""What people do with threads that are kept: export and import, search, count, clean up."""
