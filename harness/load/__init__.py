"""Load with a timeline: what each request of a steady flow got, when, and what was done meanwhile.

background_load  steady load beside the act of a test
sources          senders: the ingress client, fortio in the mesh
fortio           fortio's command line and its output
timeline         requests over time, and the outages in them
timeline_text    a timeline as text and as table rows
"""
