"""Assembles rooms, channels, threads and backends into a running agent."""
