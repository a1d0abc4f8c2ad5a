"""The command line `rs-text-search`: arguments, commands, and what a terminal shows."""
