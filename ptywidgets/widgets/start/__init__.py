"""What is found from the data alone, with its reasons and alternatives, and what is wrong before a run."""
