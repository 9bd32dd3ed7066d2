"""End-to-end test harness for Envoy Gateway on Istio ambient: each layer below knows only those under it.

cli                `mesh-e2e`: run, faults, clean, doctor, bench, judge
plugin             the pytest plugin: options, fixtures, reporting; the only home of pytest
benchmark          seconds of each stage and suite
releases_table     the table of `mesh-e2e versions`
history            outcomes of every test over many runs, sequential test, quarantine
matrix             the version matrix: planned, run cell by cell, merged
page               the report page: one file of HTML from the folders of runs
judge              judges a run again, from its folder alone
support_table      the support table, from the results of runs
doctor             checks of this machine before a run
faults             planted faults: each test of the suites must be able to fail
preflight          what a run can judge on a cluster, and the rights it needs
audit              a read-only check of a cluster that others made
listing            all objects of a cluster, and what has changed since
reaper             removes the clusters that kept or killed runs left
diagnostics        what is gathered from a cluster when something failed
report             a run's folder, failure texts, summary, Allure, JUnit
install            installs the stack, reads which versions run
disruption         restarts, outages, drains, upgrades, edits, and the repair
experiments        send, gather what was seen, return a value to be judged
load               steady load with a timeline
oracles            what must hold over every run; its collector reads every component
waits              bounded waits: rollouts, status, gateways, waypoints, policies
cluster            clusters behind one protocol: kind, existing, emulated
components         Envoy, ztunnel, istiod, rate limit service: logs, counters, admin pages
clients            clients that send traffic, outside and inside the mesh
undo               changes to a cluster that are undone, also after a kill
chosen_versions    the version set of a run, with the builds that settings name
helm, port_forward, bundle, cluster_records   helm, kubectl port-forward, offline bundle, files about clusters
image_archives     image archives (docker save, OCI layout): the images in them, missing blobs
kube               the Kubernetes API: plain dicts, server-side apply, bounded calls
threads, wait, command                        threads, polling, child processes
boundary, records                             what was asked and answered, recorded and replayed
append_only        lines appended to a file whole or not at all
progress, observations                        live lines; what witnesses saw, figures, attachments
releases           version sets composed of any versions, by releases.yaml
versions, settings                            version sets, settings
registry, strict_yaml, builds                 image registries; YAML that refuses a key twice; builds
causes             pure: why something failed, by rules over objects and log lines
evidence           pure: joins of log lines, journeys, verdicts
http_exchange      pure: a request and its answers
logs, proxy        pure: readers of log lines, and of admin pages
objects            pure: Kubernetes objects
timeouts, errors, interruption                all waiting times, exceptions, signals
"""
