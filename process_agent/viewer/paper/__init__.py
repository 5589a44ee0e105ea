"""A whole thread as a document: Markdown, or one page of HTML. Pure."""
