"""One way to see every LVLM."""
