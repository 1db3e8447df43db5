"""The stages of rotation and orientation: centre of mass, descan, how detector and scan lie to each other."""
