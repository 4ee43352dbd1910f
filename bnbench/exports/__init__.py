"""Runs written for other programs: one file per form. Never loads torch."""

from bnbench.exports.forms import FORMS, Form

__all__ = ["FORMS", "Form"]
