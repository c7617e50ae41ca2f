"""How good the measurements are: figures that people read and that no stage depends on."""
