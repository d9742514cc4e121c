"""The pytest fixture for users' own parity tests."""
