"""The `dataset` toolkit of the local room: Lance tables on disk (room protocol, section 10)."""

from process_agent.room_server.datasets.toolkit import DatasetToolkit

__all__ = ["DatasetToolkit"]
