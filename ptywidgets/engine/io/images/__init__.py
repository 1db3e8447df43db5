"""Images for other programs: TIFF with physical sizes, PNG with a scale bar."""
