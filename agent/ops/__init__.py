"""What a technician and systemd need from a running terminal: clock, journal, notifications, control socket."""
