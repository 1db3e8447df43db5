"""The stage of the direct methods."""
