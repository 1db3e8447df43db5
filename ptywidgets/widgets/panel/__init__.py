"""What all panels share: the reconstruction they observe, callbacks, status text, closing."""
