"""One running terminal: configuration, process and main loop, core, counter, replication, commands."""
