"""The stage of parallax: tilted images and their shifts."""
