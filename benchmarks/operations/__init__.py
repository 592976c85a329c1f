"""What operators want to know before they rely on the portal: long load, and failures under it."""
