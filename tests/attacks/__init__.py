"""Attacks by name: each file is one published way of breaking in, made by code and refused."""
