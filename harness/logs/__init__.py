"""Pure readers of log text: a line of ztunnel or Envoy becomes a value."""
