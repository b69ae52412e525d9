"""One running terminal: configuration, process, core, counter, replication, commands."""
