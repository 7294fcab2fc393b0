"""One Django app for each subject of the example."""
