"""Arrays that stay on disk until they are sliced: lazy ones, views of them, other packages' arrays, order of axes."""
