"""Loose JPEG and PNG pictures: read, measured, calibrated, shown."""
