"""The command: starts the parts, with an embedded broker and database where none is given."""
