"""Logs of impressions: read, checked, joined and cut into sessions."""
