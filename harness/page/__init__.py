"""The report page: one self-contained HTML file made from the folders of any number of runs.

reading   run folders and matrix folders, as values
model     what the page shows, as JSON: cells, claims, changes, figures. Pure
command   `mesh-e2e report`
page.html, page.css, page.js   the page itself: the data is put into it, nothing is loaded from elsewhere
"""
