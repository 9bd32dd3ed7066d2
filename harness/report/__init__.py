"""Reports of a run: its folder, live lines, failure texts, summary, Allure and conformance files.

None of these modules knows pytest: `harness.plugin.test_phase_hooks` feeds them.
"""
