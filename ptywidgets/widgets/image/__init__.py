"""The one image view: frames, colour maps, still pictures."""
