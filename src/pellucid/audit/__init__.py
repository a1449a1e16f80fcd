"""Audits: what a score hides. Each check is a module of its own, with a line in `registry.CHECKS`."""

from __future__ import annotations

from pellucid.audit.auditing import audit
from pellucid.audit.subject import Subject

__all__ = ["Subject", "audit"]
