"""The command line: `main` puts it together, every command has a file of its own, `common` holds what several share."""
