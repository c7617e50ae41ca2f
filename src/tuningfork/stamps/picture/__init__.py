"""Pictures made for the eye, turned back into light."""
