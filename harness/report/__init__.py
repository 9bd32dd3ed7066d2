"""What a run leaves to read: its folder, live lines, failure texts, the summary, Allure and conformance files.

None of these modules knows pytest: `harness.plugin.reporting` feeds them.
"""
