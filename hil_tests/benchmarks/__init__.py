"""Speed and memory, always as a ratio beside a peer or a limit of the same run."""
