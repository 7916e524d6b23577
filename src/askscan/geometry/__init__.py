"""Boxes, overlap, suppression, rigid motion and cameras: pure maths, batch first, no files."""
