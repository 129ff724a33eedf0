"""The edges of the hall: parse, call one service, answer. One file per protocol, one for pages, one for metadata."""
