"""Upgrades without a standstill: operations of migrations, and the command `migrate`."""
