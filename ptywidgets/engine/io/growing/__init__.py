"""Files that are still being written: what of them is whole, arrays that grow with them, and who watches."""
