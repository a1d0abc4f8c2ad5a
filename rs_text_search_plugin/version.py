"""The one place that knows the version, so that engine and plugin agree on it."""

VERSION = "0.2.0"
