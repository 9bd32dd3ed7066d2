"""The report page: one self-contained HTML file made from the folders of any number of runs."""
