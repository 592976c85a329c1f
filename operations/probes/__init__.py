"""Probes: of web processes by HTTP, of workers and beats by a command."""
