"""Steady load with a timeline: the result of each request, and what was done at that time.

background_load  steady load beside the act of a test
sources          senders: the ingress client, fortio in the mesh
fortio           fortio's command line and its output
timeline         requests over time, and the outages in them
timeline_text    a timeline as text and as table rows
"""
