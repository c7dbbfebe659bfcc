"""Transfers: from the API into files, and from files into a warehouse."""
