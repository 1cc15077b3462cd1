"""Tests in process."""
