"""The web page of the local room."""
