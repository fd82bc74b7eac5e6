"""The battery's charge, and what the machine does about a low one."""
