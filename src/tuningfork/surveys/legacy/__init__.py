"""The DESI Legacy Imaging Surveys: bricks and their catalogues."""
