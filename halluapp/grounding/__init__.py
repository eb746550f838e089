"""Is it really there? Object names in text, detections in the photo, and the verdict that joins them."""
