"""The stage of the data: scan image, pattern, virtual detector, part to work on."""
