"""Tests of Module 8."""
