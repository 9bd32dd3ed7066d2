"""The audit checks, one module for each subject: functions from the cluster's state to findings. Pure."""
