"""End-to-end test harness for Envoy Gateway on Istio ambient: each layer below knows only those under it.

The first line of each module says what it holds.

cli                `mesh-e2e`: run, faults, clean, doctor, bench, judge
plugin             the pytest plugin: options, fixtures, reporting; the only home of pytest
run_benchmark      seconds of each stage and suite
versions_command   the table of `mesh-e2e versions`
history            outcomes of every test over many runs, sequential test, quarantine
matrix             the version matrix: planned, run cell by cell, merged
report_page        the report page: one file of HTML from the folders of runs
judge_again        judges a run again, from its folder alone
support_command    the support table, from the results of runs
doctor             checks of this machine before a run
faults             planted faults: each test of the suites must be able to fail
preflight          what a run can judge on a cluster, and the rights it needs
audit              a read-only check of a cluster that others made
conformance        the Gateway API's own conformance suite, and verdicts on its passes
cluster_diff       all objects of a cluster, and what has changed since
reaper             removes clusters left by kept or killed runs
public_artifact_sources   where charts and images are published, and whether registries still have them
diagnostics        collects logs, objects and admin pages from a cluster when something failed
report             a run's folder, failure texts, summary, Allure, JUnit
install            installs the stack, reads which versions run
disruption         restarts, outages, drains, upgrades, edits, and the repair
experiments        send traffic, collect observations, return a value to be judged
load               steady load with a timeline
oracles            what must hold in every run; its collector reads every component
waits              bounded waits: rollouts, status, gateways, waypoints, policies
cluster            clusters behind one protocol: kind, existing, emulated
components         Envoy, ztunnel, istiod, rate limit service: logs, counters, admin pages
clients            clients that send traffic, outside and inside the mesh
undo               changes to a cluster that are undone, also after a kill
chosen_versions    the version set of a run, with the builds that settings name
helm, port_forward, offline_bundle            helm, kubectl port-forward, charts and images for runs without a network
cluster_records    records of created clusters, one file each
image_archive_reader   image archives (docker save, OCI layout): the images in them, missing blobs
kube               the Kubernetes API: plain dicts, server-side apply, bounded calls
threads, wait, command                        threads, polling, child processes
record_replay, cluster_call_records           calls to a cluster and their results, recorded and replayed
atomic_append, text_table   lines appended to a file whole or not at all; rows as lines in columns
progress, observations                        live lines; what witnesses saw, figures, attachments
version_sets_from_names  version sets composed of any versions, by releases.yaml
version_sets, settings                        version sets, settings
registry, strict_yaml, unreleased_builds      image registries; YAML without duplicate keys; builds in place of releases
causes             pure: why something failed, by rules over objects and log lines
evidence           pure: joins of log lines, journeys, verdicts
http_exchange      pure: requests and responses
logs, proxy        pure: parsers of log lines, and of admin pages
objects            pure: Kubernetes objects
outcome            the outcomes of a claim, and how several become one
timeouts, errors, interruption                time limits, exceptions, signals
"""
