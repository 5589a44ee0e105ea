"""Agents as services: the document that describes one to MeshAgent."""
