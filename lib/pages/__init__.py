"""Drawings that one chapter alone needs: data in, axes out."""
