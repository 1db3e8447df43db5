"""Where each pattern's origin lies: centre of mass, descan by the disk's edge, and the smooth surfaces through them."""
