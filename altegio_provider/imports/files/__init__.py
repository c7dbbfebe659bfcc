"""Reads files: from bytes to rows under headings."""
